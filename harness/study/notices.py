"""What a user should know before a study goes on."""

from __future__ import annotations

from harness.store.results import ResultStore
from harness.studyfile.values import StudySpec
from harness.train import metadata
from harness.trial import Phase, State

_COLUMNS = ("cell", "phase", "state", "config", "number", "code", "harness")


def notices(spec: StudySpec, store: ResultStore) -> list[str]:
    """Lines to print before a run: rows of other versions, test splits that may be read once more."""
    rows = store.trials(spec.name, _COLUMNS)
    if rows.empty:
        return []
    found = []
    here = metadata.code_version()
    others = sorted({str(code) for code in rows["code"].dropna()} - {here})
    if others or rows["code"].isna().any():
        named = ", ".join([*others, *(["an older harness"] if rows["code"].isna().any() else [])])
        found.append(
            f"'{spec.name}' has trials made by other code of the harness ({named}; here {here}): "
            "the board will say so."
        )
    for cell in spec.cells:
        mine = rows[rows["cell"] == cell.name]
        read = mine[(mine["phase"] == Phase.FINAL.value) & (mine["state"] == State.COMPLETE.value)]
        asked = int((mine["phase"] == Phase.SEARCH.value).sum())
        more = spec.search.trials - asked
        if len(read) and more > 0 and asked < cell.space.size:
            configs = read["config"].nunique()
            found.append(
                f"{cell.name}: test has been read for {configs} configuration{'s' * (configs > 1)}; "
                f"{more} more search trials may find another winner, and test is then read for it as well."
            )
    return found
