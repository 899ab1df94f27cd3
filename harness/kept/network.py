"""A kept network built again from its card and weights, as a module over samples."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from harness.contracts import registry
from harness.contracts.choices import Record, recording
from harness.contracts.data import Batch, DatasetCard, Events
from harness.contracts.pipeline import Job, Learner
from harness.errors import HarnessError, IncompatibleError
from harness.guard import one_line
from harness.ids import derive_seed
from harness.store.models import ModelCard, Models, Which
from harness.store.results import ResultStore
from harness.studyfile.trust import trust, validate_trusted
from harness.train import metadata

Sources = Sequence[tuple[str, str]]
"""Plug-ins as (file name, text)."""


class KeptModel(nn.Module):
    """A kept network in its evaluation form: samples in, logits or forecasts out.

    ``forward`` takes samples first, in the layout that ``card.data["layout"]`` names: a float tensor (B,
    ...) or :class:`harness.contracts.Events`, with ``length`` (B,) where sequences are padded. It returns
    logits (B, classes) or normalised forecasts (B, horizon, variates). ``network`` is the module that was
    trained; ``card`` says what it is and how it came about.
    """

    def __init__(self, card: ModelCard, learner: Learner) -> None:
        super().__init__()
        self.card, self.network = card, learner.model
        self._learner = (learner,)  # no module of its own
        self.eval()

    @property
    def learner(self) -> Learner:
        """The learner whose network this is."""
        return self._learner[0]

    @property
    def data(self) -> DatasetCard:
        """The card of the data that it was trained on."""
        return self.learner.job.card

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The evaluation form, computed the way that its trial computed it."""
        with recording(Record(given=self.card.choices)), self.learner.evaluating():
            yield

    def forward(self, x: Tensor | Events, length: Tensor | None = None) -> Tensor:
        """Logits (B, classes) or forecasts (B, horizon, variates) of samples (B, ...)."""
        count = x.batch if isinstance(x, Events) else x.shape[0]  # a symbol while it is exported
        batch = Batch(x, torch.zeros(count, dtype=torch.long), length).to(self.learner.job.device)
        with self.evaluating():
            return self.learner.predict(batch)

    def classes(self) -> tuple[str, ...]:
        """The classes' names in order of the outputs; () for forecasts."""
        names = self.data.class_names or self.card.applied.get("classes") or range(self.data.classes)
        return tuple(str(name) for name in names)


def open_model(
    store: ResultStore,
    card: ModelCard,
    *,
    which: Which = "best",
    plugins: Sources = (),
    trusted: bool = False,
    device: str = "cpu",
) -> KeptModel:
    """Build a kept network again. ``plugins`` are given where the store has not the ones it was made with.

    Raises StoreError for damaged files, StudyFileError for plug-ins that are not trusted, HarnessError for
    ones that changed or are missing, IncompatibleError where this code builds another network.
    """
    registry.load_plugins(_sources(store, card, plugins, trusted=trusted))
    weights = Models(store.files.root, card.study).weights(card, which)
    return rebuild(card, weights, torch.device(device))


def rebuild(card: ModelCard, weights: Mapping[str, Tensor], device: torch.device) -> KeptModel:
    """The module of a card with its weights. Raises IncompatibleError where they do not fit."""
    data = _data_card(card.data)
    pipeline = registry.pipeline(card.pipeline)()
    given = {name: "" if name.endswith("checkpoint") else value for name, value in card.params.items()}
    params = pipeline.build_params(given)  # what a stage would begin with lies in the weights by now
    torch.manual_seed(derive_seed(card.seed, "init"))
    job = Job(
        params=params,
        card=data,
        device=device,
        seed=derive_seed(card.seed, "init"),
        epochs=card.epochs,
        steps=math.ceil(data.counts[0] / params.batch_size),
        cards={name: _data_card(other) for name, other in card.cards.items()},
    )
    learner = pipeline.learner(job)
    try:
        for stage in pipeline.stages(params, card.epochs, card.seed):  # the network takes the form it had
            learner.begin(stage)
        learner.model.load_state_dict(dict(weights))
    except (RuntimeError, KeyError) as error:
        here = metadata.code_version()
        changed = (
            f" It was made by code {card.code} of the harness, this is {here}." if here != card.code else ""
        )
        raise IncompatibleError(
            f"the model of {card.name} does not fit the network that '{card.pipeline}' makes here: "
            f"{one_line(str(error))[:300]}.{changed} Use the version that made it."
        ) from None
    return KeptModel(card, learner)


def _data_card(fields: Mapping[str, Any]) -> DatasetCard:
    frozen: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    try:
        return DatasetCard(**frozen)
    except TypeError as error:
        raise IncompatibleError(
            f"the card of a data set is of another version of the harness: {error}."
        ) from None


def _sources(store: ResultStore, card: ModelCard, given: Sources, *, trusted: bool) -> Sources:
    """The texts of the plug-ins that a network was made with: given, else as the store keeps them."""
    if not card.plugins:
        return ()
    named = {_file(name): (name, text) for name, text in given}
    launches = store.studies(card.study)["plugins"].tolist()
    stored = {
        (name, _digest(text)): text for texts in launches if texts is not None for name, text in texts.items()
    }
    found = []
    for name, digest in card.plugins.items():
        if _file(name) in named:
            text = named[_file(name)][1]
            if _digest(text) != digest:
                raise HarnessError(
                    f"plug-in {name} has changed since {card.name} was trained (sha256 "
                    f"{_digest(text)[:12]}, then "
                    f"{digest[:12]}): the network may be another. Give the file as it was."
                )
        elif (name, digest) in stored:
            text = stored[(name, digest)]
            if not trusted:
                validate_trusted(name, text)
        else:
            raise HarnessError(
                f"{card.name} needs plug-in {name} (sha256 {digest[:12]}), which the store does not have: "
                f"give it with --plugin {_file(name)}."
            )
        trust(text)
        found.append((name, text))
    return found


def _file(name: str) -> str:
    return name.rpartition("/")[2]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
