"""The contract of a data set, over every registered one."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from harness.contracts.data import Arrays, Dataset, DatasetCard, Events, Split, SplitName
from harness.contracts.registry import datasets
from harness.datasets._files import arrays_sha256
from harness.errors import MissingDataError

NAMES: tuple[SplitName, ...] = ("train", "valid", "test")
OWN = sorted(name for name, kind in datasets().items() if not kind.source)
_prepared: dict[str, tuple[Dataset, DatasetCard, Arrays]] = {}


def missing(name: str) -> str:
    """The line of a data set whose files are absent, empty where they are there."""
    try:
        datasets()[name]().card()
    except MissingDataError as error:
        return str(error)
    return ""


MISSING = {name: line for name in OWN if (line := missing(name))}


@pytest.mark.parametrize("name", MISSING)
def test_a_set_that_is_absent(name: str) -> None:
    """One skip a set says why its contract is not tested here."""
    pytest.skip(MISSING[name])


@pytest.fixture(params=[name for name in OWN if name not in MISSING])
def ready(request: pytest.FixtureRequest) -> tuple[Dataset, DatasetCard, Arrays]:
    """A data set prepared once for all tests here."""
    name: str = request.param
    if name not in _prepared:
        data = datasets()[name]()
        _prepared[name] = data, data.card(), data.prepare()
    return _prepared[name]


def splits(ready: tuple[Dataset, DatasetCard, Arrays]) -> dict[SplitName, Split]:
    data, _, arrays = ready
    return {name: data.split(arrays, name) for name in NAMES}


def fingerprints(split: Split) -> list[bytes]:
    """One digest a sample of a small split, from its content."""
    out = []
    for start in range(0, len(split), 64):
        batch = split.batch(np.arange(start, min(start + 64, len(split))))
        if isinstance(batch.x, Events):
            for sample in range(len(batch)):
                mine = batch.x.sample == sample
                out.append(batch.x.time_us[mine].numpy().tobytes() + batch.x.unit[mine].numpy().tobytes())
        else:
            out += [sample.numpy().tobytes() for sample in batch.x]
    return out


def test_the_card_is_complete(ready: tuple[Dataset, DatasetCard, Arrays]) -> None:
    data, card, _ = ready
    assert card.name == data.name
    assert card.revision
    assert card.licence
    assert card.citation
    assert card.origin
    assert len(card.sha256) in (0, 64)
    assert min(card.counts) > 0
    if card.task == "classification":
        assert card.classes >= 2


def test_the_card_matches_the_splits_and_a_batch(
    ready: tuple[Dataset, DatasetCard, Arrays],
) -> None:
    _, card, _ = ready
    parts = splits(ready)
    assert tuple(len(parts[name]) for name in NAMES) == card.counts
    for split in parts.values():
        index = np.array([len(split) - 1, 0])
        batch = split.batch(index)
        assert len(batch) == 2
        if isinstance(batch.x, Events):
            assert card.layout == "events"
            check_events(batch.x, card)
        else:
            assert batch.x.dtype == torch.float32
            assert batch.x.dim() == len(card.layout)
            assert all(want in (-1, got) for want, got in zip(card.shape, batch.x.shape[1:], strict=True))
            assert torch.isfinite(batch.x).all()
        if card.task == "classification":
            assert batch.y.dtype == torch.int64
            assert 0 <= int(batch.y.min()) <= int(batch.y.max()) < card.classes
        else:
            assert batch.y.shape == (2, card.horizon, card.variates)


def check_events(events: Events, card: DatasetCard) -> None:
    assert events.shape == card.shape
    assert events.duration_us == pytest.approx(card.duration_ms * 1000)
    assert events.batch == 2
    assert len(events.time_us) == len(events.unit) == len(events.sample)
    assert bool((events.sample[1:] >= events.sample[:-1]).all())
    if len(events.unit):
        assert 0 <= int(events.unit.min()) <= int(events.unit.max()) < int(np.prod(card.shape))
        assert int(events.time_us.min()) >= 0


def test_a_batch_of_samples_is_the_samples(ready: tuple[Dataset, DatasetCard, Arrays]) -> None:
    split = splits(ready)["valid"]
    together = split.batch(np.array([0, 1]))
    apart = [split.batch(np.array([i])) for i in (0, 1)]
    assert torch.equal(together.y, torch.cat([batch.y for batch in apart]))
    if isinstance(together.x, Events):
        units = [batch.x.unit for batch in apart if isinstance(batch.x, Events)]
        assert torch.equal(together.x.unit, torch.cat(units))


def test_splits_are_disjoint_and_stay(ready: tuple[Dataset, DatasetCard, Arrays]) -> None:
    data, card, arrays = ready
    parts = splits(ready)
    assert len({split.digest for split in parts.values()}) == 3
    again = {name: data.split(arrays, name).digest for name in NAMES}
    assert again == {name: split.digest for name, split in parts.items()}
    index: dict[SplitName, Any] = {name: getattr(split, "index", None) for name, split in parts.items()}
    if all(isinstance(found, np.ndarray) for found in index.values()):
        for a, b in (("train", "valid"), ("train", "test"), ("valid", "test")):
            assert not np.intersect1d(index[a], index[b]).size  # type: ignore[index]
    if card.task == "classification" and sum(card.counts) <= 2_000:
        seen = [set(fingerprints(split)) for split in parts.values()]
        assert not seen[0] & seen[1]
        assert not (seen[0] | seen[1]) & seen[2]


def test_prepared_twice_is_the_same(ready: tuple[Dataset, DatasetCard, Arrays]) -> None:
    data, _, arrays = ready
    if sum(array.nbytes for array in arrays.values()) > 1 << 24:
        pytest.skip("over 16 MiB: its parts are tested beside it")
    assert arrays_sha256(type(data)().prepare()) == arrays_sha256(arrays)


def test_arrays_can_be_memory_mapped(ready: tuple[Dataset, DatasetCard, Arrays]) -> None:
    _, _, arrays = ready
    for name, array in arrays.items():
        plain: NDArray[Any] = array
        assert not plain.dtype.hasobject, name


@pytest.mark.parametrize("name", OWN)
def test_missing_data_is_one_line(name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an empty data folder a set is either embedded or says what to fetch and where to put it."""
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    data = datasets()[name]()
    try:
        data.card()
    except MissingDataError as error:
        line = str(error)
        assert "\n" not in line
        assert name in line
        assert "HARNESS_DATA" in line
