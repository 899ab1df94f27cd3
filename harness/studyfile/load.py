"""A study file to a :class:`StudySpec`: every leaf checked, every name known, every cell settled."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.contracts import registry
from harness.contracts.data import TaskKind
from harness.contracts.params import ParamInfo
from harness.errors import HarnessError, UnknownNameError
from harness.guard import read_regular
from harness.shipped import find_shipped
from harness.space import Params
from harness.studyfile.domain_reading import Wanted, read_space
from harness.studyfile.file import StudyFile
from harness.studyfile.incompatibilities import validate_compatibility
from harness.studyfile.objectives import read_limits, read_objectives, validate_combinations
from harness.studyfile.overrides import apply_overrides
from harness.studyfile.resolve import resolve
from harness.studyfile.scalars import file_error
from harness.studyfile.start import read_start, start_points, validate_searched
from harness.studyfile.trust import trust, validate_trusted
from harness.studyfile.validation import check
from harness.studyfile.values import Cell, ConfirmPlan, FinalPlan, SearchPlan, StudySpec
from harness.studyfile.variants import Given, Variant, accept, read_values, read_variants
from harness.studyfile.yaml_lines import MAX_BYTES, Node, parse_yaml, read_yaml, top_level
from harness.trial import Objective, Resources, freeze

Starts = tuple[Mapping[str, Given] | None, ...]


def load_study(path: Path, overrides: Sequence[str] = (), *, trusted: bool = True) -> StudySpec:
    """Read a study file, with ``key=value`` overrides on top.

    ``trusted`` False is for files that a row of a store names: of plug-ins, only what ran here before runs.

    A plain name (``quickstart``) is a study that ships. Plug-ins of the study are registered.
    Raises StudyFileError naming file, line, key and remedy; MissingDataError and DataError of data sets as
    they are.
    """
    path = path if os.path.lexists(path) else find_shipped(str(path), "searchspaces") or path
    root, text = read_yaml(path)
    return _study(root, text, path.absolute(), overrides, {}, trusted=trusted)


def load_stored(
    text: str, path: Path, overrides: Sequence[str], plugins: Mapping[str, str], *, trusted: bool
) -> StudySpec:
    """The same from the text that a store keeps of a file that is gone.

    ``path`` is where the file was: relative paths begin in its folder. A plug-in file that is gone as well is
    replaced by its stored text.
    """
    root = top_level(parse_yaml(text, str(path)), str(path))
    return _study(root, text, path, overrides, plugins, trusted=trusted)


def _study(
    root: Node, text: str, path: Path, overrides: Sequence[str], stored: Mapping[str, str], *, trusted: bool
) -> StudySpec:
    root = apply_overrides(root, overrides)
    file = check(StudyFile, root, "")
    folder = path.parent
    plugins = _load_plugins(root, file.plugins, folder, stored, trusted=trusted)
    variants = read_variants(root.mapping["cells"], folder)
    tasks: dict[str, TaskKind] = {variant.source.name: variant.source.card.task for variant in variants}
    objectives = read_objectives(root.mapping.get("objective"), tasks)
    cells = _cells(root, variants, objectives)
    search = SearchPlan(
        **file.search.model_dump(exclude={"stop"}),
        hours=file.search.stop.hours,
        plateau=file.search.stop.plateau,
    )
    validate_combinations(root, search, cells[0].objectives, [(cell.name, cell.space) for cell in cells])
    _check_target(root, file, cells)
    _check_baseline(root, file, cells)
    return StudySpec(
        name=file.name,
        cells=cells,
        search=search,
        confirm=ConfirmPlan(**file.confirm.model_dump()),
        final=FinalPlan(**file.final.model_dump()),
        limits=read_limits(file.limits, root.mapping.get("limits"), tasks),
        resources=Resources(file.resources.cpus, file.resources.gpus, fused=file.resources.fused),
        exclusive=file.exclusive,
        seed=file.seed,
        target=file.target,
        baseline=file.baseline,
        checkpoint_every=file.checkpoint_every,
        timeout_s=file.timeout_s,
        keep=file.keep,
        report_to=tuple(dict.fromkeys(file.report_to)),
        plugins=plugins,
        path=str(path),
        text=text,
        overrides=tuple(overrides),
    )


def _load_plugins(
    root: Node, names: Sequence[str], folder: Path, stored: Mapping[str, str], *, trusted: bool
) -> tuple[tuple[str, str], ...]:
    """Register the plug-in files; their names as written, with their texts."""
    found = []
    for name, node in zip(names, root.mapping["plugins"].items if names else (), strict=True):
        try:
            file = folder / Path(name).expanduser()
            gone = name in stored and not file.exists()
            text = stored[name] if gone else read_regular(file, MAX_BYTES).decode("utf-8")
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            message = f"plug-in {name} cannot be read: {reason}. Paths begin at the study file."
            raise file_error(node.location, "plugins", message) from None
        except ValueError:
            raise file_error(node.location, "plugins", f"plug-in {name!r} is not a text file.") from None
        try:
            if not trusted:
                validate_trusted(name, text)
            trust(text)
            registry.load_plugins([(name, text)])
        except HarnessError as error:
            raise file_error(node.location, "plugins", str(error)) from None
        found.append((name, text))
    return tuple(found)


def _cells(
    root: Node, variants: Sequence[Variant], objectives: Mapping[TaskKind, tuple[Objective, ...]]
) -> tuple[Cell, ...]:
    wanted = read_space(root.mapping.get("space"))
    fixed = read_values(root.mapping.get("fixed"), "fixed")
    starts = read_start(root.mapping.get("start"))
    known = sorted({name for variant in variants for name in variant.schema.names})
    _check_names(root, wanted, fixed, known)
    _check_conditions(wanted, variants)
    validate_searched(starts, list(wanted), known)
    cells = tuple(
        _settle(variant, wanted, fixed, starts, objectives[variant.source.card.task]) for variant in variants
    )
    _validate_used(wanted, fixed, cells)
    return cells


def _settle(
    variant: Variant,
    wanted: Mapping[str, Wanted],
    fixed: Mapping[str, Given],
    starts: Starts,
    objectives: tuple[Objective, ...],
) -> Cell:
    published = _published(variant) if None in starts else None
    resolved = resolve(variant, wanted, fixed, published or {})
    validate_compatibility(variant, resolved, wanted, fixed)
    points, clipped = start_points(variant, resolved, starts, published)
    return Cell(
        name=variant.name,
        label=variant.label,
        dataset=variant.source.ref,
        pipeline=variant.pipeline.name,
        variant=freeze(resolved.variant),
        fixed=freeze(resolved.fixed),
        space=resolved.space,
        objectives=objectives,
        start=tuple(freeze(point) for point in points),
        notes=(*variant.source.card.said, *resolved.notes, *clipped),
    )


def _published(variant: Variant) -> Params | None:
    """The paper's configuration in the parameters' own types, None if no paper has one."""
    found = variant.pipeline().published(variant.source.card)
    if found is None:
        return None
    try:
        for name in found:
            variant.schema.find(name)
    except HarnessError as error:
        raise file_error(variant.location, f"{variant.name}: published", str(error)) from None
    return dict(found)


def _check_names(
    root: Node, wanted: Mapping[str, Wanted], fixed: Mapping[str, Given], known: Sequence[str]
) -> None:
    """Raise StudyFileError for a name that no pipeline has, or that is both fixed and searched."""
    for name, given in fixed.items():
        location = root.mapping["fixed"].key_location(name)
        if name not in known:
            raise file_error(location, "fixed", str(UnknownNameError("parameter", name, known)))
        if name in wanted:
            line = wanted[name].location
            remedy = "Keep one (--set space.NAME=null drops it from the space)."
            raise file_error(
                given.location, "fixed", f"{name} is fixed here and searched at {line}. {remedy}"
            )
    for name, want in wanted.items():
        if name not in known:
            raise file_error(want.location, "space", str(UnknownNameError("parameter", name, known)))


def _check_conditions(wanted: Mapping[str, Wanted], variants: Sequence[Variant]) -> None:
    """Raise StudyFileError for a ``when`` that names what no pipeline has, or a value that none allows."""
    infos = [info for variant in variants for info in variant.schema.infos]
    for name, want in wanted.items():
        for other, allowed, location in want.when:
            named = [info for info in infos if info.name == other]
            if not named:
                hint = UnknownNameError("parameter", other, {info.name for info in infos})
                raise file_error(location, f"{name}: when", str(hint))
            for value in allowed:
                _accept_any(named, Given(value, location))


def _accept_any(infos: Sequence[ParamInfo], given: Given) -> None:
    for info in infos[:-1]:
        try:
            accept(info, given)
        except HarnessError:
            continue
        return
    accept(infos[-1], given)


def _validate_used(wanted: Mapping[str, Wanted], fixed: Mapping[str, Given], cells: Sequence[Cell]) -> None:
    """Raise StudyFileError for an entry that applies to no cell, with the reason in one of them."""
    searched = {name for cell in cells for name in cell.space.names}
    given = {name for cell in cells for name, _ in cell.fixed}
    for name, want in wanted.items():
        if name not in searched:
            raise file_error(want.location, name, f"applies to no cell. {_reason(name, cells)}")
    for name, value in fixed.items():
        if name not in given:
            raise file_error(value.location, name, f"applies to no cell. {_reason(name, cells)}")


def _reason(name: str, cells: Sequence[Cell]) -> str:
    notes = [(cell.name, note) for cell in cells for note in cell.notes if f"{name} is " in note]
    notes.sort(key=lambda pair: "no such parameter" in pair[1])
    return f"In {notes[0][0]}: {notes[0][1]}." if notes else ""


def _check_target(root: Node, file: StudyFile, cells: Sequence[Cell]) -> None:
    if file.target is None:
        return
    metrics, location = {cell.objectives[0].metric for cell in cells}, root.mapping["target"].location
    if len(metrics) > 1:
        hint = "Name one objective, or leave the target out."
        raise file_error(location, "target", f"cells are judged by {' and '.join(sorted(metrics))}. {hint}")
    if metrics == {"accuracy"} and not 0 < file.target <= 1:
        hint = f" Write {file.target / 100:g}." if 1 < file.target <= 100 else ""
        raise file_error(
            location, "target", f"{file.target:g} is no accuracy; it is a share above 0, at most 1.{hint}"
        )


def _check_baseline(root: Node, file: StudyFile, cells: Sequence[Cell]) -> None:
    known = [name for cell in cells for name in (cell.name, cell.label)]
    if file.baseline is not None and file.baseline not in known:
        hint = UnknownNameError("cell or label", file.baseline, set(known))
        raise file_error(root.mapping["baseline"].location, "baseline", str(hint))
