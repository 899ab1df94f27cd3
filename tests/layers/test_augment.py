"""Random views: what they move, that a draw holds over a sample, and that a seed matters."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.layers.augment import Augment

ALL = (Augment(shift=2), Augment(flip="horizontal"), Augment(flip="both"), Augment(smallest_area=0.3))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 60, side: int = 9) -> Tensor:
    return torch.rand(count, 2, side, side, generator=generator(9)) + 1.0


def test_a_shift_moves_every_pixel_by_as_much_and_brings_zeros_in() -> None:
    x = images()
    out = Augment(shift=2)(x, generator())
    seen = set()
    for before, after in zip(x, out, strict=True):
        fits = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if torch.equal(
                torch.nn.functional.pad(before, (2, 2, 2, 2))[
                    :, 2 - down : 11 - down, 2 - right : 11 - right
                ],
                after,
            )
        ]
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) > 15, "of 25"


@pytest.mark.parametrize(("flip", "kinds"), [("horizontal", 2), ("both", 4)])
def test_mirrors_are_drawn_a_sample(flip: str, kinds: int) -> None:
    x = images()
    out = Augment(flip=flip)(x, generator())  # type: ignore[arg-type]
    forms = ((), (-1,), (-2,), (-1, -2))
    found = [
        next(f for f in forms if torch.equal(a.flip(f), b))  # a form that fits
        for a, b in zip(x, out, strict=True)
    ]
    assert {found.count(f) > 60 / kinds / 3 for f in set(found)} == {True}
    assert len(set(found)) == kinds


def test_a_crop_of_a_constant_image_is_that_image_and_areas_vary() -> None:
    crop = Augment(smallest_area=0.08)
    torch.testing.assert_close(crop(torch.ones(5, 3, 8, 12), generator()), torch.ones(5, 3, 8, 12))
    ramp = torch.arange(32.0).expand(200, 1, 32, 32)
    out = crop(ramp, generator())
    width = (out.amax(-1) - out.amin(-1))[:, 0, 0]
    assert float(width.min()) < 14, "the smallest crop is 0.08 of the area"
    assert float(width.max()) > 25
    assert 0 <= float(out.min()) <= float(out.max()) <= 31


@pytest.mark.parametrize("augment", ALL)
def test_one_draw_holds_for_all_timesteps_and_channels(augment: Augment) -> None:
    still = images(20).unsqueeze(0).expand(5, -1, -1, -1, -1)
    out = augment(still, generator(), time_major=True)
    assert out.shape == still.shape
    assert not torch.equal(out, still)
    assert all(torch.equal(out[0], frame) for frame in out[1:])
    same = images(20)[:, :1].expand(-1, 2, -1, -1)
    assert torch.equal(*augment(same, generator()).unbind(1))


def test_mirrors_of_each_frame_differ_over_time() -> None:
    still = images(20).unsqueeze(0).expand(6, -1, -1, -1, -1)
    out = Augment(flip="each-frame")(still, generator(), time_major=True)
    mirrored = torch.stack([(frame == still[0].flip(-1)).flatten(1).all(1) for frame in out])
    straight = torch.stack([(frame == still[0]).flatten(1).all(1) for frame in out])
    assert bool((mirrored ^ straight).all())
    assert 0.3 < float(mirrored.float().mean()) < 0.7
    assert len({tuple(column) for column in mirrored.t().tolist()}) > 10


def test_counts_of_events_stay_whole() -> None:
    counts = torch.randint(0, 4, (3, 4, 2, 10, 10), generator=generator()).float()
    out = Augment(shift=1, smallest_area=0.3)(counts, generator(), time_major=True)
    assert torch.equal(out, out.round())


@pytest.mark.parametrize("augment", [*ALL, Augment(3, "both", 0.2), Augment(flip="each-frame")])
def test_a_seed_matters_and_repeats_and_the_input_stays(augment: Augment) -> None:
    x = images(20)
    kept = x.clone()
    assert torch.equal(augment(x, generator(1)), augment(x, generator(1)))
    assert not torch.equal(augment(x, generator(1)), augment(x, generator(2)))
    assert torch.equal(x, kept)
    assert not augment.off


def test_off() -> None:
    x = images(4)
    assert Augment().off
    assert torch.equal(Augment()(x, generator()), x)
