"""Augmentations of the delay paper: what they blank, mix and leave alone, and that a seed matters."""

import torch

from harness.layers.delay_augment import cutmix, mask_time_and_channels


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_masks_are_one_run_of_steps_and_one_of_channels() -> None:
    x = torch.ones(30, 400, 20)
    out = mask_time_and_channels(x, generator(), most_steps=8, most_channels=5)
    blank_t = (out.sum(2) == 0).t()
    blank_c = (out.sum(0) == 0).int()
    steps = blank_t.sum(1)
    assert int(steps.max()) == 7
    assert 0.45 < float((steps > 0).float().mean()) < 0.68  # 65 % of samples, one length in eight is 0
    assert int(blank_c.sum(1).max()) == 4
    for row in blank_t[:50].int():
        assert int((row.diff() == 1).sum()) + int(row[0]) <= 1
    assert torch.equal(x, torch.ones_like(x))


def test_short_inputs_can_be_masked() -> None:
    assert mask_time_and_channels(torch.ones(1, 4, 1), generator(), most_steps=8, most_channels=0).shape == (
        1,
        4,
        1,
    )


def test_cutmix_takes_a_run_of_the_next_sample_and_its_share_of_the_target() -> None:
    batch, steps = 200, 50
    x = torch.arange(batch).float().view(1, batch, 1).expand(steps, batch, 2)
    y = torch.arange(batch) % 3
    mixed, target = cutmix(x, y, 3, generator())
    foreign = (mixed[:, :, 0] != x[:, :, 0]).float()
    share = foreign.mean(0)
    assert 0.4 < float((share > 0).float().mean()) < 0.6
    torch.testing.assert_close(target.sum(1), torch.ones(batch))
    own = target.gather(1, y.unsqueeze(1)).squeeze(1)
    assert float((1 - own - share).abs().max()) < 1 / steps + 1e-6
    for i in torch.nonzero(share > 0).flatten()[:20].tolist():
        other = mixed[:, i, 0][foreign[:, i].bool()]
        assert set(other.tolist()) == {float((i + 1) % batch)}
        assert int((foreign[:, i].diff() == 1).sum() + foreign[0, i]) == 1


def test_a_seed_matters_and_repeats() -> None:
    x, y = torch.rand(20, 8, 6), torch.arange(8) % 2
    for draw in (
        lambda g: mask_time_and_channels(x, g, most_steps=8, most_channels=4),
        lambda g: cutmix(x, y, 2, g)[0],
    ):
        assert torch.equal(draw(generator(1)), draw(generator(1)))
        assert not torch.equal(draw(generator(1)), draw(generator(2)))
