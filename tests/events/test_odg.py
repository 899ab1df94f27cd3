"""ODG: bit-identical with a per-pixel loop, and the values of docs/papers.md, ODG."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from harness.errors import DataError
from harness.events import odg
from harness.events.odg import OdgSettings
from harness.events.reconstruct import edge_integral
from tests.events.reference import odg_loop

FREE = OdgSettings(window=None, min_events=0)


def upsampled_digits() -> NDArray[np.float64]:
    """Bilinear x2 of the digits, all 1,797, in [0, 1]."""
    images = torch.from_numpy(load_digits().images / 16.0)[:, None]
    up = torch.nn.functional.interpolate(images, scale_factor=2, mode="bilinear")
    return np.asarray(up[:, 0].numpy(), dtype=np.float64)


@pytest.mark.parametrize("shape", [(8, 8), (1, 5), (2, 2), (3, 1), (17, 9), (24, 31)])
@pytest.mark.parametrize("kind", ["float64", "uint8"])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_per_pixel_loop(shape: tuple[int, int], kind: str, seed: int) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    value = grey if kind == "uint8" else grey / 255
    settings = OdgSettings(window=(4, 20), min_events=0) if seed == 2 else FREE
    got = odg.generate(value, settings)
    want_pos, want_neg = odg_loop(grey / 255, window=settings.window)
    assert got.pos.tolist() == want_pos
    assert got.neg.tolist() == want_neg


def test_frames_hold_the_same_events() -> None:
    images = np.random.default_rng(0).random((3, 9, 7))
    frames = odg.frames_btchw(images)
    assert frames.shape == (3, 8, 2, 13, 11)
    for image, frame in zip(images, frames, strict=True):
        events = odg.generate(image, FREE)
        for channel, rows in enumerate((events.pos, events.neg)):
            want = np.zeros((8, 13, 11), dtype=bool)
            want[rows[:, 2] - 1, rows[:, 0], rows[:, 1]] = True
            assert np.array_equal(frame[:, channel], want)


def test_a_constant_image_has_no_events() -> None:
    assert len(odg.generate(np.ones((8, 8)), FREE)) == 0


def test_one_pixel_gives_the_positions_of_the_paper() -> None:
    value = np.zeros((8, 8))
    value[3, 4] = 1
    events = odg.generate(value, FREE)
    positions = odg.POSITIONS
    assert events.pos.tolist() == [[3 + x, 4 + y, t] for t, (x, y) in enumerate(positions) if t]
    assert events.neg.tolist() == [[3 + x, 4 + y, t + 1] for t, (x, y) in enumerate(positions[:-1])]
    assert events.pos[0].tolist() == [3, 6, 1]
    assert events.neg[0].tolist() == [4, 4, 1]


@pytest.mark.parametrize(("level", "count"), [(0.18, 0), (45 / 255, 0), (46 / 255, 8), (45, 0), (46, 8)])
def test_threshold_is_strict(level: float, count: int) -> None:
    value = np.zeros((8, 8), dtype=np.uint8 if isinstance(level, int) else np.float64)
    value[3, 4] = level
    events = odg.generate(value, FREE)
    assert (len(events.pos), len(events.neg)) == (count, count)


def test_grey_levels_and_doubles_agree_on_every_pair() -> None:
    level = np.arange(256)
    bright, dark = np.meshgrid(level, level, indexing="ij")
    doubles = bright / 255 - dark / 255 > odg.THRESHOLD
    # Each pair side by side: the step of t = 8 moves the image down, that of t = 7 to the right.
    pairs = np.stack([dark.ravel(), bright.ravel()], axis=1).astype(np.uint8)[:, None, :]
    frames = odg.frames_btchw(pairs)
    darker = frames[:, 6, 1].any((1, 2)).reshape(256, 256)
    assert np.array_equal(darker, doubles)


def test_corners_are_cleaned() -> None:
    value = np.zeros((8, 8))
    value[0, 0] = 1
    events = odg.generate(value, FREE)
    assert events.pos.tolist() == [[2, 2, 5], [1, 1, 7], [2, 1, 8]]
    assert events.neg.tolist() == [[2, 1, 3], [2, 2, 6]]
    value = np.zeros((8, 8))
    value[7, 7] = 1
    events = odg.generate(value, FREE)
    assert events.pos.tolist() == [[8, 7, 3], [8, 7, 6]]
    assert events.neg.tolist() == [[7, 8, 5], [8, 7, 7], [8, 8, 8]]


def test_a_ramp() -> None:
    events = odg.generate(np.arange(64).reshape(8, 8) / 63, FREE)
    assert len(events.pos) == 0
    assert np.bincount(events.neg[:, 2], minlength=9).tolist() == [0, 0, 42, 0, 0, 42, 0, 0, 0]


def test_counts_on_the_digits() -> None:
    raw = odg.frames_btchw(load_digits().images / 16.0).sum((1, 3, 4))
    assert raw.sum(0).tolist() == [203_448, 202_516]
    assert raw[:3].tolist() == [[132, 131], [101, 101], [111, 119]]
    up = odg.frames_btchw(upsampled_digits())
    counts = up.sum((1, 3, 4))
    assert counts.sum(0).tolist() == [573_268, 570_891]
    assert counts[:3].tolist() == [[324, 340], [312, 317], [326, 320]]
    assert (counts.sum(1).min(), counts.sum(1).max()) == (478, 870)
    assert up.mean() == pytest.approx(0.0995, abs=5e-5)


def test_edge_integral_of_one_pixel() -> None:
    value = np.zeros((1, 8, 8))
    value[0, 3, 4] = 1
    frames = torch.from_numpy(odg.frames_btchw(value)).transpose(0, 1)
    signed = edge_integral(frames, crop=False)[0, 0]
    unsigned = edge_integral(frames, signed=False, crop=False)[0, 0]
    assert signed.shape == (16, 16)
    steps = np.diff(np.array(odg.POSITIONS), axis=0)
    want = torch.zeros(16, 16)
    want[5, 6] = 8
    for dx, dy in steps:
        want[5 - dx, 6 - dy] = -1
    assert torch.equal(signed, want)
    assert torch.equal(unsigned, want.abs())
    cropped = edge_integral(frames)
    assert cropped.shape == (1, 1, 12, 12)
    assert torch.equal(cropped[0, 0], want[1:13, 1:13])


@pytest.mark.parametrize(("signed", "want"), [(True, 0.83), (False, 0.60)])
def test_correlation_of_the_integral_with_the_image(signed: bool, want: float) -> None:
    value = load_digits().images / 16.0
    frames = torch.from_numpy(odg.frames_btchw(value)).transpose(0, 1)
    place = edge_integral(frames, signed=signed)[:, 0, 1:9, 1:9].numpy()
    pairs = zip(place, value, strict=True)
    mean = np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs])
    assert mean == pytest.approx(want, abs=0.005)


def test_resize_is_nearest_by_the_floor() -> None:
    image = np.arange(12).reshape(3, 4)
    out = odg.resize_longer_side(image, 8)
    assert out.shape == (6, 8)
    assert out[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    for height, width, size in [(30, 40, (190, 254)), (500, 375, (254, 190)), (84, 31, (254, 93))]:
        place = torch.arange(height * width, dtype=torch.float64).view(1, 1, height, width)
        want = torch.nn.functional.interpolate(place, size=size, mode="nearest")[0, 0]
        got = odg.resize_longer_side(place[0, 0].numpy())
        assert np.array_equal(got, want.numpy())
    assert odg.resize_longer_side(np.zeros((500, 400)), 254).shape == (254, 203)
    assert odg.resize_longer_side(np.zeros((1, 900)), 254).shape == (1, 254)


def test_lightness_is_the_largest_channel() -> None:
    image = np.array([[[1, 2, 3], [9, 8, 7]]], dtype=np.uint8)
    assert odg.lightness(image).tolist() == [[3, 9]]
    assert odg.lightness(np.array([[4, 5]], dtype=np.uint8)).tolist() == [[4, 5]]


def test_window_and_dtype() -> None:
    rng = np.random.default_rng(0)
    value = rng.integers(0, 256, (254, 254)).astype(np.uint8)
    events = odg.generate(value)
    for rows in (events.pos, events.neg):
        assert rows.dtype == np.uint8
        assert rows[:, :2].min() == 17
        assert rows[:, :2].max() == 239
    assert odg.generate(value, FREE).pos.dtype == np.uint16


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros((1, 1)), "1 pixel"),
        (np.zeros((20, 20)), "0 events, fewer than the 1000"),
        (np.zeros((3, 3), dtype=np.int64), "expected uint8"),
        (np.zeros(3), "axes"),
        (np.full((3, 3), np.nan), "not finite"),
    ],
)
def test_bad_images_are_refused(value: NDArray[np.float64], words: str) -> None:
    with pytest.raises(DataError, match=words):
        odg.generate(value)


def test_bad_lightness_shapes() -> None:
    for shape in [(3,), (2, 2, 2, 2), (0, 3, 3)]:
        with pytest.raises(DataError):
            odg.lightness(np.zeros(shape))
    with pytest.raises(DataError, match="threshold"):
        odg.generate(np.zeros((4, 4)), OdgSettings(threshold=1.5))
    with pytest.raises(DataError, match="event frames"):
        edge_integral(torch.zeros(7, 1, 2, 5, 5))
