"""An inspection for people: one table of each dataset, one of how they compare."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from robomix.tools.inspect.compatibility import shape_text
from robomix.tools.inspect.description import (
    CameraDescription,
    Compatibility,
    DatasetDescription,
    FeatureDescription,
    Inspection,
)

_TASKS = 3
_NAMES = 3


def as_tables(inspection: Inspection) -> Iterator[RenderableType]:
    """What to print, in order, without the suggestion."""
    for dataset in inspection.datasets:
        yield from _dataset(dataset)
    if inspection.compatibility is not None:
        yield from _comparison(inspection.compatibility)
    for one in inspection.unreadable:
        yield f"[bold red]cannot be read[/] {escape(one.path)}: {escape(one.reason)}"


def _dataset(one: DatasetDescription) -> Iterator[RenderableType]:
    yield f"[bold]{escape(one.name)}[/]: {escape(one.path)}"
    facts = Table(show_header=False, box=None)
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    for name, value in _facts(one):
        facts.add_row(name, escape(value))
    yield facts
    features = Table()
    features.add_column("feature", no_wrap=True)
    for header in ("type", "shape", "entries"):
        features.add_column(header, overflow="fold")
    cameras = {camera.key: camera for camera in one.cameras}
    for feature in one.features:
        if feature.kind in ("numeric", "camera"):
            features.add_row(*map(escape, feature_cells(feature, cameras.get(feature.key))))
    others = [feature.key for feature in one.features if feature.kind not in ("numeric", "camera")]
    yield features
    yield f"texts and blobs: {escape(', '.join(others))}\n" if others else ""


def _facts(one: DatasetDescription) -> Iterator[tuple[str, str]]:
    yield "format", one.format
    yield "robot", one.robot_type or "not named"
    yield "rate", "its files do not say; give --fps" if one.fps is None else f"{one.fps:g} fps"
    lengths = one.lengths
    size = f"{lengths.shortest:,} to {lengths.longest:,} frames, median {lengths.median:,g}"
    yield "episodes", f"{one.episodes:,}, of {size}"
    yield "frames", f"{one.frames:,}" + ("" if one.hours is None else f", {one.hours:.2f} hours")
    video = f", videos {bytes_text(one.video_bytes)}" if one.video_bytes else ""
    yield "on disk", f"data {bytes_text(one.data_bytes)}{video}"
    shown = "; ".join(f"{task.text!r} {task.frames:,} frames" for task in one.tasks[:_TASKS])
    more = f"; and {one.num_tasks - _TASKS} more" if one.num_tasks > _TASKS else ""
    yield "tasks", f"{one.num_tasks}: {shown}{more}"
    if one.subsets:
        yield "selections", ", ".join(f"{name} ({len(ids)} episodes)" for name, ids in one.subsets.items())
    for warning in one.warnings:
        yield "warning", warning


def feature_cells(feature: FeatureDescription, camera: CameraDescription | None) -> tuple[str, str, str, str]:
    """Key, type, shape and names of the entries, of a camera what is wrong with its file."""
    if camera is not None:
        stored = " ".join(filter(None, (camera.codec, camera.pixel_format))) or camera.storage
        shape = f"{camera.height} x {camera.width}"
        return feature.key, f"camera, {stored}", shape, camera.problem or ""
    names = feature.names or ()
    few = names if len(names) <= _NAMES else [*names[: _NAMES - 1], f"... {names[-1]}"]
    return feature.key, feature.dtype, shape_text(feature), ", ".join(few)


def _comparison(table: Compatibility) -> Iterator[RenderableType]:
    """Datasets are columns by number: their names would leave no room."""
    yield "\n".join(f"{number}: {escape(name)}" for number, name in enumerate(table.datasets, start=1))
    made = Table(title="How they compare, under their own names", title_justify="left")
    made.add_column("key", overflow="fold")
    for number, _ in enumerate(table.datasets, start=1):
        made.add_column(str(number), justify="right")
    made.add_column("")
    made.add_row("robot", *("-" if robot is None else "" for robot in table.robots), _robots(table.robots))
    made.add_row("fps", *("-" if fps is None else f"{fps:g}" for fps in table.fps), _same(table.fps))
    alone: dict[str, list[str]] = {}
    for row in table.keys:
        owners = [name for name, cell in zip(table.datasets, row.cells, strict=True) if cell is not None]
        if len(owners) == 1:
            alone.setdefault(owners[0], []).append(row.key)
            continue
        said = "; ".join(filter(None, (row.difference, row.entry_names)))
        made.add_row(escape(row.key), *map(_cell, row.cells), escape(said))
    yield made
    for name, keys in alone.items():
        yield f"only in {escape(name)}: {escape(', '.join(keys))}"
    yield ""


def _cell(cell: str | None) -> str:
    """The shape of `float32 (7)`, without its brackets; the type is in the tables of the datasets."""
    return "-" if cell is None else cell.partition(" ")[2].strip("()") or "1"


def _same(values: Sequence[object]) -> str:
    if None in values:
        return "not all are known"
    return "the same" if len(set(values)) == 1 else "differ"


def _robots(robots: Sequence[str | None]) -> str:
    named = dict.fromkeys(robot for robot in robots if robot is not None)
    return escape(f"{len(named)} robots: {', '.join(named)}") if len(named) > 1 else _same(robots)


def bytes_text(size: int) -> str:
    """A size for people, such as 1.23 MB."""
    amount, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.3g} {unit}" if unit != "bytes" else f"{size} bytes"
