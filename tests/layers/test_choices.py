"""Measured choices: the fastest is taken, kept by machine, recorded by trial; no trace in training."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.func import vmap

from harness.contracts import choices, timing
from harness.contracts.choices import Record, pick, recording
from harness.train.clocks import Clocks

CPU = torch.device("cpu")
X = torch.zeros(4)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    with recording(Record()):
        yield


def new_process() -> None:
    """Forget what this process knows; the files stay."""
    choices._known.clear()


def work(milliseconds: float, calls: list[int] | None = None) -> Callable[[int], Callable[[], None]]:
    """Busy for so long a batch of 16, and counting its calls."""

    def make(batch: int) -> Callable[[], None]:
        def run() -> None:
            if calls is not None:
                calls.append(batch)
            until = time.thread_time() + milliseconds * batch / 16e3
            while time.thread_time() < until:
                pass

        return run

    return make


def test_the_fastest_is_taken_once_and_kept() -> None:
    calls: list[int] = []
    ways = {"slow": work(6, calls), "fast": work(1, calls), "hopeless": work(200, calls)}
    with recording(Record()) as record:
        assert [pick("k", X, 16, ways) for _ in range(3)] == ["fast"] * 3
    timed = len(calls)
    assert list(record.taken.values()) == ["fast"]
    new_process()
    with recording(Record()) as record:
        assert pick("k", X, 16, ways) == "fast"
    assert len(calls) == timed, "not timed again"
    (line,) = choices.explain(CPU)[1:]
    assert "k; float32 on cpu 1 thread(s): fast (" in line
    assert "slow " in line
    assert "x its time" in line


def test_what_is_far_slower_is_timed_on_a_small_part_alone() -> None:
    calls: list[int] = []
    assert next(iter(timing.measure(160, {"a": work(800, calls), "b": work(2)}, CPU))) == "b"
    assert set(calls) == {10}


def test_of_equals_the_first_is_taken() -> None:
    ways = {name: work(3) for name in ("c", "a", "b")}
    assert [next(iter(timing.measure(16, ways, CPU))) for _ in range(3)] == ["c"] * 3


def test_a_trial_keeps_what_it_took_and_a_study_what_its_rows_say() -> None:
    ways = {"a": work(1), "b": work(5)}
    assert pick("k", X, 16, ways) == "a"
    (key,) = choices.active().taken
    for record in (Record(taken={key: "b"}), Record(given={key: "b"})):
        with recording(record):
            assert pick("k", X, 16, ways) == "b"
        assert record.taken == {key: "b"}
    with recording(Record(taken={key: "gone"}, given={key: "gone"})):
        assert pick("k", X, 16, ways) == "a"


@pytest.mark.parametrize(
    "text",
    ["", "\x00\xff", "[1]", '{"KEY": 3}', '{"KEY": {"a": "x"}}', '{"KEY": {"other": 1.0}}', "[" * 100_000,
     '{"KEY": {"a": 0}}'],
)  # fmt: skip
def test_a_broken_file_is_ignored(text: str) -> None:
    ways = {"a": work(5), "b": work(1)}
    assert pick("k", X, 16, ways) == "b"
    (key,), path = choices.active().taken, choices.file(CPU)
    path.write_text(text.replace("KEY", key), encoding="utf-8")
    new_process()
    with recording(Record()):
        assert pick("k", X, 16, ways) == "b"
    assert next(iter(json.loads(path.read_text())[key])) == "b"


def test_a_folder_that_cannot_be_written_costs_the_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file" / "below"))
    assert pick("k", X, 16, {"a": work(5), "b": work(1)}) == "b"
    assert "none yet" in choices.explain(CPU)[0]


TWO = """
import sys, time, torch
from harness.contracts import choices
torch.set_num_threads(1)
def work(ms):
    def make(batch):
        def run():
            until = time.thread_time() + ms / 1e3
            while time.thread_time() < until: pass
        return run
    return make
print("ready", flush=True)
sys.stdin.readline()
own, other = sys.argv[1], "ab".replace(sys.argv[1], "")
for shape in range(5):
    print(choices.pick(f"k{shape}", torch.zeros(4), 1, {own: work(0.5), other: work(2)}))
"""


def test_of_two_processes_at_once_one_decides_for_both() -> None:
    """Each finds another one faster; nothing that one kept is lost by the other."""
    command = [sys.executable, "-c", TWO]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([*command, name], **pipes) for name in "ab"]  # type: ignore[call-overload]
    for one in both:
        assert one.stdout.readline() == "ready\n"
    for one in both:
        one.stdin.write("\n")
        one.stdin.flush()
    said = [one.communicate(timeout=60)[0].split() for one in both]
    assert said[0] == said[1]
    assert len(said[0]) == 5
    assert [next(iter(times)) for times in choices.kept(CPU).values()] == said[0]


def test_timing_leaves_no_trace_in_clocks_and_generators() -> None:
    clocks, state = Clocks(CPU), torch.get_rng_state()
    with clocks.running("train"):
        pick("k", X, 16, {"a": work(30), "b": work(40)})
    assert clocks.seconds["train"] < 0.02
    assert clocks.seconds["train_cpu"] < 0.02
    assert clocks.seconds["prepare"] > 0.06
    assert torch.equal(torch.get_rng_state(), state)


def test_memory_of_timing_is_set_aside() -> None:
    entered: list[int] = []

    class Aside:
        def __enter__(self) -> None:
            entered.append(1)

        def __exit__(self, *_error: object) -> None:
            entered.append(2)

    with recording(Record(aside=Aside)):
        pick("k", X, 16, {"a": work(1), "b": work(2)})
        pick("k", X, 16, {"a": work(1), "b": work(2)})
    assert entered == [1, 2]


def test_where_nothing_can_be_timed_the_first_is_taken() -> None:
    ways = {"slow": work(50), "fast": work(1)}
    taken: list[str] = []

    def run(x: Tensor) -> Tensor:
        taken.append(pick("k", x, 16, ways))
        return x * 2

    vmap(run)(torch.zeros(2, 4))
    torch.compile(run, backend="eager")(torch.zeros(4))
    assert taken == ["slow", "slow"]
    assert not choices.active().taken


@pytest.mark.parametrize(("size", "wanted"), [(1, 1), (5, 6), (64, 64), (65, 96), (97, 128), (256, 256)])
def test_sizes_that_share_a_choice(size: int, wanted: int) -> None:
    assert choices.bucket(size) == wanted
