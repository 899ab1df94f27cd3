"""Cluster files: where a study runs.

A file says so under ``harness:``. Launcher files keep the form of their own tool, which may refuse unknown
top-level keys; there it stands under ``metadata`` (Ray's cluster launcher) or as text in
``metadata.annotations`` (Kubernetes).
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from harness.errors import StudyFileError
from harness.shipped import find_shipped, shipped_folders
from harness.studyfile.scalars import file_error
from harness.studyfile.validation import FileModel, check, not_a
from harness.studyfile.values import ClusterSpec, EngineName
from harness.studyfile.yaml_lines import Node, parse_yaml, read_yaml

_SECTION = "harness"
_MANY = 10**6


def _whole(gpus: float | None) -> float | None:
    if gpus is not None and gpus != int(gpus):
        raise ValueError(f"a cluster has whole GPUs, not {gpus:g}. Shares belong to resources: in the study.")
    return gpus


class ClusterFile(FileModel):
    """The ``harness:`` section; ``cpus`` and ``gpus`` limit a cluster that is started on this machine.

    ``logical_gpus`` counts GPUs that are not there (to try out shares), ``grow`` is how many trials at once
    an autoscaler is asked to make room for, ``ship`` sends the working tree to the nodes.
    """

    name: str | None = None
    engine: EngineName = "ray"
    address: str = ""
    cpus: int | None = Field(default=None, ge=1, le=_MANY)
    gpus: Annotated[float | None, Field(ge=0, le=_MANY), AfterValidator(_whole)] = None
    logical_gpus: bool = False
    grow: int = Field(default=0, ge=0, le=_MANY)
    ship: bool = False


def load_cluster(path_or_name: str | Path = "local") -> ClusterSpec:
    """A cluster from a file, from the name of a file in ``clusters/``, or from an address.

    Addresses are ``auto``, ``ray://HOST:PORT`` and ``HOST:PORT``. Raises StudyFileError with file and line.
    """
    name = str(path_or_name)
    if name == "auto" or name.startswith("ray://") or _is_host_and_port(name):
        return ClusterSpec(name=name, address=name)
    path = _find(name)
    if path is None:
        if name == "local":
            return ClusterSpec()
        raise StudyFileError(f"cluster '{name}': there is no such file.{_near(name)}")
    root, _ = read_yaml(path, "cluster file")
    section = _section(root)
    if section is None:
        remedy = "Write harness: {engine: ray, address: auto}."
        raise file_error(root.location, "", f"the cluster file has no harness: section. {remedy}")
    got = check(ClusterFile, section, _SECTION)
    _validate_consistent(got, section)
    return ClusterSpec(
        name=got.name or path.stem,
        engine=got.engine,
        address=got.address,
        cpus=got.cpus,
        gpus=got.gpus,
        logical_gpus=got.logical_gpus,
        grow=got.grow,
        ship=got.ship,
    )


def _is_host_and_port(name: str) -> bool:
    host, colon, port = name.rpartition(":")
    return bool(host and colon) and "/" not in name and port.isdecimal() and not Path(name).exists()


def _find(name: str) -> Path | None:
    """The file of a path, or of a name below ``clusters/`` here or of the package."""
    try:
        return Path(name) if Path(name).is_file() else find_shipped(name, "clusters")
    except (OSError, ValueError):
        return None


def _near(name: str) -> str:
    known = sorted({file.stem for folder in shipped_folders("clusters") for file in folder.glob("*.yaml")})
    near = difflib.get_close_matches(Path(name).stem, known, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"{hint} Give a file, an address (HOST:PORT, auto), or one of: {', '.join(known) or 'none'}."


def _section(root: Node) -> Node | None:
    """The ``harness`` section, wherever the file's own tool allows it."""
    if _SECTION in root.mapping:
        return root.mapping[_SECTION]
    metadata = root.mapping.get("metadata", root)
    if _SECTION in metadata.mapping:
        return metadata.mapping[_SECTION]
    note = metadata.mapping.get("annotations", root).mapping.get(_SECTION)
    if note is None:
        return None
    if not isinstance(note.value, str):
        raise file_error(note.location, _SECTION, not_a("text: '{engine: ray, address: auto}'", note))
    return parse_yaml(note.value, "", note.location) or Node({}, note.location)


def _validate_consistent(got: ClusterFile, section: Node) -> None:
    if got.engine == "local" and got.address:
        location = section.mapping["address"].location
        raise file_error(
            location, f"{_SECTION}.address", "engine: local has no cluster to join. Drop one of the two."
        )
    for key in ("cpus", "gpus"):
        if got.address and getattr(got, key) is not None:
            location = section.mapping[key].location
            message = f"the cluster at '{got.address}' has its own size. Drop {key}, or the address."
            raise file_error(location, f"{_SECTION}.{key}", message)
