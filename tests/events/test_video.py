"""Video to events: the paper's percentiles, exactly, and clear lines for bad clips."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from harness.errors import DataError
from harness.events import images, video
from harness.events.video import VideoSettings


def clip(frames: int = 40, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (frames, 6, 5)).astype(np.uint8)


def loop(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Literal form: one difference, one pixel at a time."""
    taken = [frames[round(p)] / 255 for p in np.linspace(0, len(frames) - 1, 31)]
    values = sorted(
        float(b[i, j] - a[i, j]) for a, b in itertools.pairwise(taken) for i in range(6) for j in range(5)
    )

    def percentile(q: float) -> float:
        place = q / 100 * (len(values) - 1)
        low = int(place)
        return values[low] + (place - low) * (values[low + 1] - values[low])

    low, high = percentile(7.5), percentile(92.5)
    out = np.zeros((2, 30, 6, 5), dtype=np.uint8)
    for t in range(30):
        for i in range(6):
            for j in range(5):
                change = taken[t + 1][i, j] - taken[t][i, j]
                out[0, t, i, j] = change > high
                out[1, t, i, j] = change < low
    return out


@pytest.mark.parametrize("frames", [2, 16, 31, 40, 163])
def test_equals_the_literal_form(frames: int) -> None:
    frames_nhw = clip(frames, frames)
    got = video.events_cthw(frames_nhw)
    assert got.shape == (2, 30, 6, 5)
    assert got.dtype == np.uint8
    assert np.array_equal(got, loop(frames_nhw))


def test_positions_round_half_to_even() -> None:
    assert video.sample_positions(16)[:6].tolist() == [0, 0, 1, 2, 2, 2]
    assert video.sample_positions(31).tolist() == list(range(31))
    assert video.sample_positions(164)[-1] == 163


def test_the_share_of_events() -> None:
    events = video.events_cthw(clip(31))
    assert events[0].mean() == pytest.approx(0.075, abs=0.005)
    assert events[1].mean() == pytest.approx(0.075, abs=0.005)
    more = video.events_cthw(clip(31), VideoSettings(event_ratio=0.5))
    assert more.mean() > 3 * events.mean()


def test_a_still_clip_has_no_events() -> None:
    assert video.events_cthw(np.full((31, 4, 4), 9, dtype=np.uint8)).sum() == 0


def test_thresholds_of_their_own_are_seeded() -> None:
    noisy = VideoSettings(threshold_sd=0.03, seed=1)
    frames = clip(31)
    assert np.array_equal(video.events_cthw(frames, noisy), video.events_cthw(frames, noisy))
    other = VideoSettings(threshold_sd=0.03, seed=2)
    assert not np.array_equal(video.events_cthw(frames, noisy), video.events_cthw(frames, other))
    faint = (clip(31) // 255 + 100).astype(np.uint8)
    assert video.events_cthw(faint, VideoSettings(threshold_sd=1e-9)).sum() == 0


def folder(path: Path, frames: NDArray[np.uint8]) -> Path:
    path.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(np.repeat(frame[..., None], 3, 2)).save(path / f"frame{number}.png")
    return path


def test_a_folder_of_frames_in_natural_order(tmp_path: Path) -> None:
    frames = clip(40)
    where = folder(tmp_path / "v_Kick_g01_c01", frames)
    (where / "Thumbs.db").write_bytes(b"x")
    assert [path.name for path in video.frame_files(where)][8:12] == [
        "frame8.png", "frame9.png", "frame10.png", "frame11.png",
    ]  # fmt: skip
    taken = video.read_clip(where)
    assert np.array_equal(taken, frames[video.sample_positions(40)])
    assert np.array_equal(video.events_cthw(taken), video.events_cthw(frames))


def test_bad_clips(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a folder"):
        video.read_clip(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no frames"):
        video.read_clip(tmp_path / "empty")
    with pytest.raises(DataError, match="1 frames: needs at least 2"):
        video.read_clip(folder(tmp_path / "one", clip(1)))
    few = folder(tmp_path / "few", clip(12))
    with pytest.raises(DataError, match="12 frames: needs at least 31"):
        video.read_clip(few, VideoSettings(min_frames=31))
    Image.new("RGB", (9, 9)).save(few / "frame3.png")
    with pytest.raises(DataError, match="the clip's first frame"):
        video.read_clip(few)
    (few / "frame3.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"frame3.png is not an image"):
        video.read_clip(few)
    with pytest.raises(DataError, match="expected uint8"):
        video.events_cthw(np.zeros((31, 4, 4)))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="1 frames"):
        video.events_cthw(clip(1))
    with pytest.raises(DataError, match="event_ratio"):
        VideoSettings(event_ratio=1.5)


@pytest.mark.skipif("HARNESS_DATA" not in os.environ, reason="HARNESS_DATA is not set")
def test_real_clips() -> None:
    """Five real clips: every one gives about the share of events asked for, most where it moves."""
    path = Path(os.environ["HARNESS_DATA"], "video_clips.npz")
    with np.load(path, allow_pickle=False) as file:
        jpeg, offset, of_clip = file["jpeg"].tobytes(), file["offset"], file["clip"]
    for number in range(5):
        frames = np.flatnonzero(of_clip == number)
        chosen = frames[video.sample_positions(len(frames))]
        grey = np.stack([images.grey(images.decode_rgb(jpeg[offset[i] : offset[i + 1]], i)) for i in chosen])
        events = video.events_cthw(grey)
        assert 0.05 < events.mean() <= 0.0751
        change = np.abs(np.diff(grey.astype(int), axis=0)).mean((1, 2))
        assert np.corrcoef(change, events.sum((0, 2, 3)))[0, 1] > 0.5


def test_images_as_opencv_reads_them(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    assert np.array_equal(images.read_rgb(tmp_path / "a.png"), rgb)
    luma = np.asarray(Image.fromarray(rgb).convert("L"))
    assert np.array_equal(images.grey(rgb), luma)
    Image.fromarray(rgb[..., 0]).save(tmp_path / "grey.png")
    assert np.array_equal(images.read_rgb(tmp_path / "grey.png"), np.repeat(rgb[..., :1], 3, 2))
    Image.fromarray((rgb[..., 0].astype(np.uint16) << 8) + 3).save(tmp_path / "deep.png")
    assert np.array_equal(images.read_rgb(tmp_path / "deep.png")[..., 2], rgb[..., 0])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(tmp_path / "turned.png", exif=exif)
    assert images.read_rgb(tmp_path / "turned.png").shape == (6, 4, 3)
    with pytest.raises(DataError, match="cannot be read"):
        images.read_rgb(tmp_path / "none.png")
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0nothing")
    with pytest.raises(DataError, match="not an image that can be read"):
        images.read_rgb(tmp_path / "cut.jpg")
