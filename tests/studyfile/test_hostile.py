"""No study file, however torn, ends in anything but one clear line."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.studyfile.values import StudySpec
from tests.studyfile.conftest import BASE

_MORE = [
    *("{", "}", "[", "]", "''", "~", "no", "010", "1e-4", "1:30", ".nan", "*a", "choice", "when", "toyif"),
    *("neuron.name", "delay.kind", "published", "toyseries", "toyopt", "1.0e999", "-1", "0", "true", "{}"),
    *("[]", "é", "{toyfile: x}"),
]
_LINES = [
    "\n",
    "  ",
    "- ",
    ": ",
    ", ",
    "&a ",
    "\x00",
    "objective: [accuracy, synops]\n",
    "limits: {spikes: 1}\n",
]
_TOKENS = sorted({*BASE.replace(",", " ").split(), *_MORE, *_LINES})
_EDIT = st.tuples(st.integers(0, len(BASE)), st.integers(0, 12), st.sampled_from(_TOKENS))


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(_EDIT, min_size=1, max_size=4))
def test_torn_studies(load: Callable[..., StudySpec], edits: list[tuple[int, int, str]]) -> None:
    text = BASE
    for start, length, token in edits:
        text = text[:start] + token + text[start + length :]
    message = ""
    try:
        load(text)
    except HarnessError as error:
        message = str(error)
    assert "\n" not in message
    assert message == "" or message.startswith(("x.yaml:", "data set '"))
