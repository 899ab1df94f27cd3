"""Trained networks that are kept: weights as safetensors and one JSON card a trial, below the tables' root.

``models/<study>/<trial>.json`` is written last, so a model is whole or absent. Nothing is ever unpickled:
safetensors hold arrays and names alone, and a file counts only with the size and hash that its card states.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import ForeignFileError, StoreError
from harness.guard import one_line
from harness.store.files import Files

if TYPE_CHECKING:
    from torch import Tensor

Which = Literal["best", "last"]
Scalars = dict[str, bool | int | float | str]
_CARD, _WEIGHTS = ".json", ".safetensors"
_ID = re.compile(r"[0-9a-f]{8,64}")


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class WeightsFile(_Form):
    """A file of weights: after which epoch they were taken, its size and hash."""

    file: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}\.(best|last)\.safetensors$")]
    epoch: int
    bytes: int
    sha256: str


class ModelCard(_Form):
    """What a kept network is: all that is needed to build it again and to use it on new data.

    ``data`` is the data set's card and ``cards`` those of the sets that its stages use, as mappings;
    ``options`` are the data set's. ``applied`` is what its samples went through: class names, or shift and
    scale of each variate. ``values`` are the objectives on validation at ``best_epoch``, ``test`` what the
    final phase read once. ``plugins`` are files and hashes of their text. ``choices`` are of measured
    alternatives, which differ in the last digits. ``last`` equals ``best`` where the
    best epoch was the last one.
    """

    form: Literal[1] = 1
    study: str
    cell: str
    trial: str
    seed: int
    epochs: int
    best_epoch: int
    pipeline: str
    params: Scalars
    variant: Scalars
    dataset: str
    options: dict[str, Any]
    data: dict[str, Any]
    cards: dict[str, dict[str, Any]]
    applied: dict[str, Any]
    objectives: list[str]
    values: list[float]
    test: dict[str, float]
    threads: int
    device: str
    code: str
    harness: str
    packages: dict[str, str]
    plugins: dict[str, str]
    fingerprint: str
    choices: dict[str, str] = Field(default_factory=dict)
    weights: dict[Which, WeightsFile] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """``study/cell, seed 3 (trial 0123..)``."""
        return f"{self.study}/{self.cell}, seed {self.seed} (trial {self.trial})"


class Models:
    """The kept networks of one study."""

    def __init__(self, root: str | Path, study: str) -> None:
        self.files, self.study = Files(root), study
        self._folder = f"models/{study}"

    # -- writing ------------------------------------------------------------------------------------

    def keep(self, card: ModelCard, states: Mapping[Which, Mapping[str, Tensor]]) -> ModelCard:
        """Write the weights, then the card that names them. Raises StoreError; TypeError for no tensors."""
        files: dict[Which, WeightsFile] = {}
        for which, state in states.items():
            data = _packed(state)
            epoch = card.best_epoch if which == "best" else card.epochs
            name = f"{card.trial}.{which}{_WEIGHTS}"
            digest = hashlib.sha256(data).hexdigest()
            files[which] = WeightsFile(file=name, epoch=epoch, bytes=len(data), sha256=digest)
            self.files.write(f"{self._folder}/{name}", data)
        files.setdefault("last", files["best"])
        kept = card.model_copy(update={"weights": files})
        self.files.write(f"{self._folder}/{card.trial}{_CARD}", kept.model_dump_json(indent=1).encode())
        return kept

    def delete(self, trial: str) -> None:
        """Drop the model of a trial; its card first, so that no card names what is gone."""
        for end in (_CARD, f".best{_WEIGHTS}", f".last{_WEIGHTS}"):
            self.files.delete(f"{self._folder}/{trial}{end}")

    def copy_from(self, other: Models, trial: str) -> None:
        """Take over another store's model of a trial. Raises StoreError."""
        card = other.card(trial)
        for file in {weights.file: weights for weights in card.weights.values()}.values():
            self.files.write(f"{self._folder}/{file.file}", other.read(file))
        self.files.write(
            f"{self._folder}/{trial}{_CARD}", other.files.read(f"{other._folder}/{trial}{_CARD}")
        )

    # -- reading ------------------------------------------------------------------------------------

    def trials(self) -> list[str]:
        """The trials whose models are kept, sorted."""
        names = self.files.names(self._folder, _CARD)
        return [name for name in (n.removesuffix(_CARD) for n in names) if _ID.fullmatch(name)]

    def card(self, trial: str) -> ModelCard:
        """The card of a trial's model. Raises StoreError where there is none or it cannot be read."""
        where = self.files.path(f"{self._folder}/{trial}{_CARD}")
        try:
            found = ModelCard.model_validate_json(self.files.read(f"{self._folder}/{trial}{_CARD}"))
        except FileNotFoundError:
            raise StoreError(
                f"no model of trial {trial} of '{self.study}' is kept below {self.files.root}: only final "
                "trials of a study with keep: finals or best have one."
            ) from None
        except OSError as error:
            raise StoreError(f"{where} cannot be read: {one_line(error.strerror or str(error))}.") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            at = ".".join(map(str, first["loc"])) or "it"
            raise ForeignFileError(
                f"{where} is no card of a model: {one_line(at)}: {one_line(first['msg'])}. "
                f"Delete it and what begins with {trial} beside it, or copy it again from where it came."
            ) from None
        if (found.trial, found.study) != (trial, self.study):
            raise ForeignFileError(
                f"{where} is the card of {one_line(found.name)}: put it back where it was."
            )
        return found

    def read(self, file: WeightsFile) -> bytes:
        """The bytes of a file of weights. Raises StoreError where they are others than the card says."""
        where = self.files.path(f"{self._folder}/{file.file}")
        try:
            data = self.files.read(f"{self._folder}/{file.file}")
        except OSError as error:
            raise StoreError(
                f"{where} cannot be read: {one_line(error.strerror or str(error))}. "
                "Copy it again from where it came."
            ) from None
        if len(data) != file.bytes or hashlib.sha256(data).hexdigest() != file.sha256:
            raise ForeignFileError(
                f"{where} is damaged: {len(data)} bytes of {file.bytes}, or other ones than were written. "
                "Copy it again from where it came, or delete the model and run its trial again."
            )
        return data

    def weights(self, card: ModelCard, which: Which = "best") -> dict[str, Tensor]:
        """The network's tensors by name, on the CPU. Raises StoreError and ForeignFileError."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        file = card.weights[which]
        try:
            return load(self.read(file))
        except SafetensorError as error:
            where = self.files.path(f"{self._folder}/{file.file}")
            raise ForeignFileError(f"{where} holds no safetensors: {one_line(str(error))}.") from None

    def size(self) -> tuple[int, int]:
        """How many models are kept, and the bytes of all files."""
        sizes = self.files.sizes(self._folder)
        return len(self.trials()), sum(sizes.values())


def _packed(state: Mapping[str, Tensor]) -> bytes:
    """A state dict as safetensors: contiguous, on the CPU, each tensor with memory of its own.

    Raises TypeError for an entry that is no tensor.
    """
    import torch
    from safetensors.torch import save

    strange = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise TypeError(f"'{strange[0]}' of the network's state is no tensor")
    plain = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    seen: set[int] = set()
    for name, value in plain.items():
        if value.untyped_storage().data_ptr() in seen:
            plain[name] = value.clone()
        seen.add(plain[name].untyped_storage().data_ptr())
    return save(plain)
