"""Series: windows as views, splits and statistics, readers of every format, one line an error."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from harness.contracts import datasets
from harness.datasets.series.series import FileOptions, OwnSeries
from harness.datasets.series.series_frame import Reading, read_series, time_features
from harness.datasets.series.series_known import KnownSeries
from harness.datasets.series.series_windows import (
    WindowOptions,
    WindowSplit,
    normalized,
    window_starts,
)
from harness.errors import DataError, MissingDataError
from harness.train.forecast_metrics import forecast_metrics


def own(path: Path, **options: Any) -> OwnSeries:
    return OwnSeries(FileOptions(path=str(path), **{"window": 4, "horizon": 2, **options}))


def table(rows: int = 40, step: str = "1h") -> pd.DataFrame:
    rng = np.random.default_rng(0)
    times = pd.date_range("2020-01-01", periods=rows, freq=step)
    return pd.DataFrame({"date": times, "a": rng.normal(size=rows), "b": rng.normal(size=rows)})


def written(tmp_path: Path, frame: pd.DataFrame, **options: Any) -> Path:
    path = tmp_path / "mine.csv"
    frame.to_csv(path, index=False, **options)
    return path


def known(name: str, **options: Any) -> Any:
    kind = datasets()[name]
    data = kind(kind.Options(**options))
    try:
        data.card()
    except MissingDataError as error:
        pytest.skip(str(error))
    return data


# -- windows ------------------------------------------------------------------------------------------


def test_the_split_is_that_of_seqsnn():
    starts = window_starts(7588, WindowOptions(window=168, horizon=24), "x")
    assert [len(starts[name]) for name in ("train", "valid", "test")] == [4438, 1480, 1479]
    assert starts["valid"][0] == 4438
    assert starts["test"][-1] == 7588 - 168 - 24


def test_borders_keep_targets_inside_their_split():
    options = WindowOptions(window=96, horizon=24, borders=(8640, 2880, 2880))
    starts = window_starts(17420, options, "x")
    assert [len(starts[name]) for name in ("train", "valid", "test")] == [8521, 2857, 2857]
    for name, first, end in (("train", 0, 8640), ("valid", 8640, 11520), ("test", 11520, 14400)):
        targets = starts[name] + 96
        assert targets[0] >= first
        assert targets[-1] + 24 == end


def test_strides_thin_training_and_evaluation_apart():
    plain = window_starts(500, WindowOptions(), "x")
    thin = window_starts(500, WindowOptions(stride=4, eval_stride=3), "x")
    assert (thin["train"] == plain["train"][::4]).all()
    assert (thin["test"] == plain["test"][::3]).all()


def test_windows_are_views_on_one_array_and_a_batch_is_right():
    values = np.arange(60, dtype=np.float32).reshape(30, 2)
    split = WindowSplit(values, np.array([0, 5, 20]), WindowOptions(window=4, horizon=3))
    assert np.shares_memory(split.windows, values)
    assert not split.windows.flags.writeable
    batch = split.batch(np.array([2, 1]))
    assert batch.x[0].tolist() == values[20:24].tolist()
    assert batch.y[1].tolist() == values[9:12].tolist()
    assert split.past().shape == (25, 2)


def test_a_memory_map_is_never_read_whole(tmp_path):
    np.save(tmp_path / "v.npy", np.zeros((1000, 3), dtype=np.float32))
    values = np.load(tmp_path / "v.npy", mmap_mode="r")
    split = WindowSplit(values, np.arange(900), WindowOptions(window=50, horizon=50))
    assert np.shares_memory(split.windows, values)


@pytest.mark.parametrize("normalize", ["train", "leaky-max", "leaky-variate", "leaky-scalar", "none"])
def test_normalisation_looks_at_the_rows_that_it_says(normalize):
    rng = np.random.default_rng(1)
    values = rng.normal(3.0, 2.0, (200, 3))
    options = WindowOptions(window=5, horizon=5, normalize=normalize)
    changed = values.copy()
    changed[-1] = 100.0  # a row of the last test window
    before, *_ = normalized(values, ("a", "b", "c"), options, "x")
    after, *_ = normalized(changed, ("a", "b", "c"), options, "x")
    leaks = not np.array_equal(before[:-1], after[:-1])
    assert leaks == normalize.startswith("leaky")


def test_leaky_rules_are_those_of_the_released_code():
    values = np.array([[1.0, -8.0], [3.0, 2.0], [4.0, 6.0]] * 10)
    names = ("a", "b")

    def of(rule: Any) -> np.ndarray:
        options = WindowOptions(window=2, horizon=1, normalize=rule)
        return normalized(values, names, options, "x")[0]

    np.testing.assert_allclose(of("leaky-max"), values / 6.0)
    np.testing.assert_allclose(of("leaky-variate"), values / [4.0, 8.0])
    np.testing.assert_allclose(of("leaky-scalar"), (values - values.mean()) / values.std(), rtol=1e-6)


def test_train_mean_and_persistence_on_exchange_rate_are_those_of_the_paper_s_loader():
    data = known("exchange-rate", window=168, horizon=24, normalize="leaky-scalar", eval_stride=2)
    assert data.card().counts[0] == 4438
    arrays = data.prepare()
    test, train = (data.split(arrays, name) for name in ("test", "train"))
    batch = test.batch(np.arange(len(test)))
    y = batch.y.numpy()
    mean = forecast_metrics(np.broadcast_to(train.past().mean(0, dtype=np.float64), y.shape), y)
    assert (round(mean["r2"], 4), round(mean["rse"], 3)) == (0.8481, 2.442)
    last = forecast_metrics(np.broadcast_to(batch.x[:, -1:].numpy(), y.shape), y)
    assert (round(last["r2"], 4), round(last["rse"], 3)) == (0.9989, 0.205)


# -- files --------------------------------------------------------------------------------------------


def test_csv_parquet_text_and_hdf_give_one_series(tmp_path):
    frame = table()
    csv = written(tmp_path, frame)
    parquet = tmp_path / "mine.parquet"
    frame.set_index("date").to_parquet(parquet)
    text = tmp_path / "mine.txt.gz"
    with gzip.open(text, "wt") as file:
        frame[["a", "b"]].to_csv(file, index=False, header=False)
    hdf = tmp_path / "mine.h5"
    write_fixed(hdf, "df", frame)
    read = [read_series(path, Reading(), "x") for path in (csv, parquet, text, hdf)]
    for series in read:
        np.testing.assert_allclose(series.values, frame[["a", "b"]].to_numpy())
    assert [series.times is not None for series in read] == [True, True, False, True]
    assert read[0].names == ("a", "b") == read[3].names


def write_fixed(path: Path, key: str, frame: pd.DataFrame) -> None:
    """The layout of DCRNN's files: pandas' fixed format, as PyTables writes it."""
    values = frame.drop(columns="date")
    with h5py.File(path, "w") as file:
        group = file.create_group(key)
        group.attrs["nblocks"] = 1
        for axis in ("axis0", "block0_items"):
            group[axis] = np.array(list(values.columns), dtype="S")
            group[axis].attrs["kind"] = np.bytes_(b"string")
        group["axis1"] = frame["date"].to_numpy().astype("datetime64[ns]").astype(np.int64)
        group["axis1"].attrs["kind"] = np.bytes_(b"datetime64")
        group["block0_values"] = values.to_numpy()


def test_hdf_written_by_pandas_itself(tmp_path):
    pytest.importorskip("tables")
    frame = table().set_index("date")
    frame.to_hdf(tmp_path / "t.h5", key="speed")
    series = read_series(tmp_path / "t.h5", Reading(), "x")
    np.testing.assert_allclose(series.values, frame.to_numpy())


def test_metr_la_is_read_from_its_own_format(tmp_path, monkeypatch):
    class Small(KnownSeries):
        name, files, rows, variates = "metr-small", ("metr-small.h5",), 40, 2
        origin, licence, citation = "here", "none", "none"

    write_fixed(tmp_path / "metr-small.h5", "df", table(step="5min"))
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    data = Small(WindowOptions(window=4, horizon=2, time_features=True))
    assert data.card().shape == (4, 7)
    arrays = data.prepare()
    assert data.split(arrays, "test").batch(np.array([0])).x.shape == (1, 4, 7)
    write_fixed(tmp_path / "metr-small.h5", "df", table(39))
    with pytest.raises(DataError, match="has 39 rows x 2 variates, the published file 40 x 2"):
        data.prepare()


def test_a_series_of_ones_own_is_one_line(tmp_path):
    data = own(written(tmp_path, table()), time_features=True)
    card = data.card()
    assert (card.task, card.layout, card.shape, card.variates) == ("forecasting", "nlc", (4, 7), 2)
    arrays = data.prepare()
    batch = data.split(arrays, "train").batch(np.array([0]))
    assert batch.x.shape == (1, 4, 7)
    assert batch.y.shape == (1, 2, 2)
    assert "normalize train" in card.notes


def test_time_features_lie_in_a_unit_interval():
    times = pd.date_range("2020-01-01", "2020-12-31 23:59", freq="7min").to_numpy()
    features = time_features(times.astype("datetime64[s]"))
    assert features.min() == -0.5
    assert features.max() <= 0.5
    assert features[0].tolist() == pytest.approx([-0.5, -0.5, 2 / 6 - 0.5, -0.5, -0.5])


def test_leaving_the_file_changes_the_cache(tmp_path):
    path = written(tmp_path, table())
    before = own(path).cache_key()
    written(tmp_path, table(41))
    assert own(path).cache_key() != before


# -- faults, one clear line each ------------------------------------------------------------------------


def line_of(data: OwnSeries) -> str:
    with pytest.raises(DataError) as caught:
        data.prepare()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_cell_that_is_no_number(tmp_path):
    frame = table().astype({"b": object})
    frame.loc[7, "b"] = "broken"
    line = line_of(own(written(tmp_path, frame)))
    assert "mine.csv:9: column 'b': 'broken' is not a number" in line


def test_a_missing_value_and_its_policies(tmp_path):
    frame = table()
    frame.loc[3, "a"] = np.nan
    path = written(tmp_path, frame)
    assert "mine.csv:5: column 'a' has no value (1 missing in all)" in line_of(own(path))
    filled = {
        policy: read_series(path, Reading(missing=policy), "x") for policy in ("ffill", "interpolate", "zero")
    }
    assert filled["ffill"].values[3, 0] == frame["a"][2]
    assert filled["interpolate"].values[3, 0] == pytest.approx((frame["a"][2] + frame["a"][4]) / 2)
    assert filled["zero"].values[3, 0] == 0.0
    assert own(path, missing="ffill").prepare()["filled"].tolist() == [1, 0]


def test_a_missing_step_and_its_policy(tmp_path):
    path = written(tmp_path, table().drop(index=[10, 11]))
    line = line_of(own(path))
    assert "2 steps are missing before 2020-01-01T12:00:00 (2 in all)" in line
    assert own(path, missing="interpolate").prepare()["filled"].tolist() == [4, 2]
    assert len(own(path, missing="keep").prepare()["values"]) == 38


@pytest.mark.parametrize(
    ("normalize", "statistics"),
    [
        ("train", "training rows 0..25"),
        ("leaky-scalar", "all rows 0..39, the test rows too"),
        ("none", "no row"),
    ],
)
def test_what_was_done_to_the_series_is_a_fact(tmp_path, normalize, statistics):
    frame = table().drop(index=[10, 11])
    frame.loc[3, "a"] = np.nan
    data = own(written(tmp_path, frame), missing="ffill", normalize=normalize)
    metadata = data.metadata(data.prepare())
    assert metadata["statistics"] == statistics
    assert metadata["normalize"] == normalize
    assert metadata["missing"] == "ffill"
    assert (metadata["filled"], metadata["inserted"]) == (5, 2)
    assert (metadata["rows"], metadata["variates"], metadata["window"]) == (40, 2, 4)
    assert metadata["split"] == {"train": 0.6, "test": 0.2}


def test_unsorted_doubled_and_uneven_time_stamps(tmp_path):
    frame = table()
    swapped = frame.iloc[[0, 2, 1, *range(3, 40)]]
    assert "comes after 2020-01-01T02:00:00" in line_of(own(written(tmp_path, swapped)))
    doubled = frame.iloc[[0, 1, 1, *range(2, 40)]]
    assert "time stamp 2020-01-01T01:00:00 is there twice" in line_of(own(written(tmp_path, doubled)))
    frame.loc[5, "date"] += pd.Timedelta("7min")
    assert "the usual step is 3600 s" in line_of(own(written(tmp_path, frame)))


def test_another_separator(tmp_path):
    path = written(tmp_path, table(), sep=";")
    assert "the first line has no ',' but has ';' (semicolon)" in line_of(own(path))
    assert own(path, separator=";").prepare()["values"].shape == (40, 2)


def test_runs_of_blanks_and_decimal_commas(tmp_path):
    wanted = own(written(tmp_path, table())).prepare()["values"]
    blank = tmp_path / "blank.txt"
    rows = table()[["a", "b"]].to_numpy()
    blank.write_text("\n".join("   ".join(repr(float(v)) for v in row) for row in rows))
    np.testing.assert_array_equal(own(blank, separator=" ").prepare()["values"], wanted)
    path = written(tmp_path, table(), sep=";", decimal=",")
    assert 'is not a number. Set decimal: ","' in line_of(own(path, separator=";"))
    np.testing.assert_array_equal(own(path, separator=";", decimal=",").prepare()["values"], wanted)


def test_a_time_column_of_numbers(tmp_path):
    frame = table().assign(date=1577836800 + 3600 * np.arange(40))
    line = line_of(own(written(tmp_path, frame), time="date"))
    assert "column 'date' holds numbers, not time stamps" in line


def test_rows_of_files_without_lines_are_numbered(tmp_path):
    path = tmp_path / "mine.parquet"
    frame = table()
    frame.loc[5, "b"] = np.nan
    frame.to_parquet(path)
    assert "mine.parquet: row 5 (from 0): column 'b' has no value" in line_of(own(path))


def test_infinite_cells_and_other_alphabets(tmp_path):
    frame = table()
    frame.loc[3, "a"] = np.inf
    assert "is infinite. Correct the cell" in line_of(own(written(tmp_path, frame)))
    path = tmp_path / "latin.csv"
    path.write_bytes("zeit,größe\n".encode("latin-1"))
    assert "Save it as UTF-8" in line_of(own(path))


def test_a_constant_variate(tmp_path):
    frame = table()
    frame["b"] = 5.0
    path = written(tmp_path, frame)
    assert "variate 'b' is constant in the rows" in line_of(own(path))
    with pytest.raises(DataError, match="its scale and its R2 are undefined"):
        own(path).card()  # what `harness check` reads
    assert own(path, columns=("a",)).prepare()["values"].shape == (40, 1)


def test_too_few_rows(tmp_path):
    path = written(tmp_path, table(9))
    with pytest.raises(DataError, match="9 rows are too few for window 4 \\+ horizon 6"):
        own(path, horizon=6).card()
    with pytest.raises(DataError, match="borders need 50 rows, there are 9"):
        own(path, borders=(20, 20, 10)).card()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("horizon", 0, "below 1"),
        ("window", -3, "below 1"),
        ("train", 1.5, "not a share"),
        ("borders", (1, 2), "three positive numbers"),
        ("normalize", "yes", "train"),
        ("missing", "guess", "ffill"),
        ("separator", ";;", "one character"),
        ("decimal", ";", "must be '.' or ','"),
        ("horizonn", 3, "Extra inputs"),
    ],
)
def test_options_that_are_wrong(option, value, message):
    with pytest.raises(ValidationError, match=message):
        FileOptions(path="x.csv", **{option: value})


def test_unknown_columns_tables_kinds_and_files(tmp_path):
    path = written(tmp_path, table())
    assert "unknown column 'aa'. Did you mean 'a'?" in line_of(own(path, columns=("aa",)))
    assert "unknown column 'datum'" in line_of(own(path, time="datum"))
    assert "no such file" in line_of(own(tmp_path / "not.csv"))
    other = tmp_path / "mine.xlsx"
    other.write_text("x")
    assert "known are .csv, .txt, .parquet and .h5" in line_of(own(other))
    vector = tmp_path / "vector.h5"
    with h5py.File(vector, "w") as file:
        file["x"] = np.zeros(5)
    assert "no table inside" in line_of(own(vector))
    broken = tmp_path / "broken.h5"
    broken.write_text("no hdf")
    assert "cannot be read" in line_of(own(broken))
    parquet = tmp_path / "broken.parquet"
    parquet.write_text("no parquet")
    assert "cannot be read" in line_of(own(parquet))
    write_fixed(tmp_path / "two.h5", "df", table())
    with h5py.File(tmp_path / "two.h5", "a") as file:
        file["other"] = np.zeros((5, 2))
    assert "say which table with key: .." in line_of(own(tmp_path / "two.h5"))
    assert "unknown table 'dff'. Did you mean 'df'?" in line_of(own(tmp_path / "two.h5", key="dff"))


def test_an_empty_file_is_one_line(tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text("")
    assert "cannot be read" in line_of(own(path))
    path.write_text("date,a\n")
    assert "no values: 0 rows" in line_of(own(path))


def test_time_features_without_time_stamps(tmp_path):
    path = written(tmp_path, table()[["a", "b"]])
    assert "time_features must be false" in line_of(own(path, time_features=True))
    with pytest.raises(DataError, match="no time stamps"):
        datasets()["synthetic-low"](datasets()["synthetic-low"].Options(time_features=True)).card()


# -- made series --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "omega"), [("synthetic-low", 0.04), ("synthetic-high", 0.1)])
def test_signals_have_their_frequency_and_their_seed(name, omega):
    kind = datasets()[name]
    values = kind(kind.Options(rows=2000, normalize="none")).prepare()["values"]
    spectrum = np.abs(np.fft.rfft(values[:, 0] - values[:, 0].mean()))
    spectrum[:10] = 0.0  # the slow component, w1 = 5e-3
    assert np.argmax(spectrum) / 2000 * 2 == pytest.approx(omega, abs=0.002)
    other = kind(kind.Options(rows=2000, normalize="none", seed=1)).prepare()["values"]
    assert not np.allclose(values, other)


def test_tmy3_is_guarded_and_has_sixteen_variates():
    data = known("tmy3")
    assert data.card().variates == 16
    assert data.prepare()["values"].shape == (8760, 16)
