"""The page of an inspection: what datasets hold, how they fit each other, and how their frames and numbers look."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from robomix.features import ACTION
from robomix.report.blocks import (
    Bars,
    Block,
    Cell,
    Chart,
    Charts,
    Code,
    Page,
    Section,
    Table,
    Text,
    linked,
    number,
    text,
)
from robomix.report.caps import CAMERAS, FOLDED, LANES, LISTED, PICTURES, ROWS, and_more, count, share_of
from robomix.report.distributions import Numbers, histograms
from robomix.report.recorded import contact_sheet, numbers_at, telling_rows
from robomix.report.shares import share_bars
from robomix.report.strips import strip
from robomix.tools.inspect.describe import Opened, open_for_inspection
from robomix.tools.inspect.description import Compatibility, DatasetDescription, Inspection
from robomix.tools.inspect.tables import bytes_text, feature_cells
from robomix.tools.inspect.vector_names import STATE, plan_vector

FRAMES = 20_000
"""Frames of a dataset whose numbers are read for histograms, evenly spaced; of a smaller one all."""
_EPISODE = 20_000
"""Frames of an episode that are drawn over time."""


@dataclass(frozen=True)
class _Shown:
    """A dataset on the page."""

    place: int
    about: DatasetDescription
    opened: Opened

    @property
    def id(self) -> str:
        return f"dataset-{self.place}"

    def vector(self, key: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """The features that make `key` (`action` or `observation.state`), and what their entries are called."""
        plan = plan_vector(self.about, key)
        if plan is None:
            return None
        features = [self.opened.dataset.features[part] for part in plan.parts]
        names = []
        for part, feature in zip(plan.parts, features, strict=True):
            own = feature.names or [str(d) for d in range(int(np.prod(feature.shape)))]
            names += [name if len(plan.parts) == 1 else f"{part}.{name}" if feature.shape else part for name in own]
        return plan.parts, tuple(names)


def inspect_page(found: Inspection, made: str = "") -> Page:
    """The page of what an inspection `found`. Opens the datasets once more, and decodes some of their frames."""
    shown = [
        _Shown(i, about, open_for_inspection(Path(about.path), default_fps=about.fps))
        for i, about in enumerate(found.datasets)
    ]
    sections = [_overview(found, shown)]
    if found.compatibility is not None:
        sections.append(_compatibility(found.compatibility))
    if found.suggestion is not None:
        note = "Made from names, numbers and headers: look through it, above all where it says CHECK."
        sections.append(Section("mixture", "Suggested mixture", [Code(found.suggestion)], note))
    if shown:
        sections += [_values(shown), _episodes(shown), *_datasets(shown)]
    frames, episodes = sum(one.frames for one in found.datasets), sum(one.episodes for one in found.datasets)
    sizes = f"{count(len(shown), 'dataset')}, {count(episodes, 'episode')}, {count(frames, 'frame')}"
    bad = f"; {len(found.unreadable)} more cannot be read" if found.unreadable else ""
    return Page(f"Datasets: {_names(found)}", sizes + bad, "bad" if bad else "good", sections, made)


def _names(found: Inspection) -> str:
    return and_more([one.name for one in found.datasets], 4) or "none"


def _overview(found: Inspection, shown: Sequence[_Shown]) -> Section:
    columns = ("dataset", "robot", "fps", "episodes", "frames", "hours", "cameras", "tasks", "on disk", "format")
    rows = [_overview_row(one) for one in shown]
    blocks: list[Block] = [Table(columns, rows)] if rows else []
    blocks += [Text(f"{one.path} cannot be read: {one.reason}", "bad") for one in found.unreadable]
    blocks += [_shares(shown)] if len(shown) > 1 else []
    return Section("datasets", "Datasets", blocks)


def _overview_row(one: _Shown) -> list[Cell]:
    about = one.about
    size = about.data_bytes + about.video_bytes
    return [
        linked(about.name, one.id),
        text(about.robot_type or "not named", tone="" if about.robot_type else "note"),
        number(about.fps, "g"),
        number(about.episodes, ","),
        number(about.frames, ","),
        number(about.hours, ",.2f"),
        number(len(about.cameras), ","),
        number(about.num_tasks, ","),
        Cell(bytes_text(size), sort=size, is_number=True),
        text(about.format),
    ]


def _shares(shown: Sequence[_Shown]) -> Bars:
    """What part of everything each dataset is; the smallest of many together."""
    amounts: dict[str, list[float]] = {
        "frames": [one.about.frames for one in shown],
        "episodes": [one.about.episodes for one in shown],
    }
    if all(one.about.hours is not None for one in shown):
        amounts["hours"] = [one.about.hours or 0.0 for one in shown]
    names = [one.about.name for one in shown]
    return share_bars(names, {what: np.array(values) / (sum(values) or 1) for what, values in amounts.items()})


def _compatibility(table: Compatibility) -> Section:
    rows = [
        [text("robot"), text(_differ(table.robots)), *(text(robot or "-") for robot in table.robots)],
        [text("fps"), text(_differ(table.fps)), *(text("-" if fps is None else f"{fps:g}") for fps in table.fps)],
    ]
    alone: dict[str, list[str]] = {}
    for key in table.keys:
        owners = [name for name, cell in zip(table.datasets, key.cells, strict=True) if cell is not None]
        if len(owners) == 1:
            alone.setdefault(owners[0], []).append(key.key)
            continue
        said = "; ".join(filter(None, (key.difference, key.entry_names)))
        tone = "" if key.difference == "the same" else "warn"
        rows.append([text(key.key), text(said, tone=tone), *(text(cell or "-") for cell in key.cells)])
    note = "Each key under the datasets' own names, with dtype and shape; the suggested mixture settles what differs."
    blocks: list[Block] = [Table(("key", "what differs", *table.datasets), rows)]
    blocks += [Text(f"Only in {name}: {and_more(keys, 40)}.", "note") for name, keys in alone.items()]
    return Section("compatibility", "How they compare", blocks, note)


def _differ(values: Sequence[object]) -> str:
    if None in values:
        return "not all are known"
    return "the same" if len(set(values)) == 1 else "differ"


def _values(shown: Sequence[_Shown]) -> Section:
    blocks: list[Block] = []
    for key in (STATE, ACTION):
        numbers, lacking, told = [], [], []
        for one in shown:
            vector = one.vector(key)
            if vector is None:
                lacking.append(one.about.name)
                continue
            parts, entries = vector
            step = max(1, -(-one.about.frames // FRAMES))
            told += [f"one frame in {step} of {one.about.name}"] if step > 1 else []
            told += [f"{one.about.name}: made of {', '.join(parts)}"] if parts != (key,) else []
            rows = numbers_at(one.opened.dataset, parts, slice(None, None, step))
            numbers.append(Numbers(one.about.name, one.place, entries, rows))
        told += (
            [f"{and_more(lacking, 8)} {'has' if len(lacking) == 1 else 'have'} none, as far as names tell"]
            if lacking
            else []
        )
        blocks += histograms(key, numbers, ". ".join(told))
    note = (
        "As recorded. Entries are compared by their place, as a mixture puts them together; one axis for all datasets, "
        "each drawn as high as its fullest bin."
    )
    return Section("values", "Numbers", blocks or [Text("No dataset has any, as far as names tell.")], note)


def _episodes(shown: Sequence[_Shown]) -> Section:
    drawn = []
    for one in shown:
        frames = one.opened.dataset.episodes.lengths[:, None]
        rows = np.hstack([frames, frames / one.about.fps]) if one.about.fps else frames
        drawn.append(Numbers(one.about.name, one.place, ("frames", "seconds"), rows))
    table = []
    for one in shown:
        for task in one.about.tasks:
            share = task.frames / max(one.about.frames, 1)
            table.append([linked(one.about.name, one.id), text(task.text), number(task.frames, ",", share=share)])
    more = [
        f"{one.about.num_tasks - len(one.about.tasks):,} of {one.about.name}"
        for one in shown
        if one.about.num_tasks > len(one.about.tasks)
    ]
    blocks: list[Block] = histograms("Episode lengths", drawn, is_numbered=False)
    blocks.append(Table(("dataset", "task", "frames"), table[:ROWS], "Tasks"))
    if len(table) > ROWS:
        blocks.append(Text(f"{len(table) - ROWS:,} more tasks are not listed.", "note"))
    if more:
        blocks.append(Text(f"Not listed: tasks {and_more(more, 10)}.", "note"))
    return Section("episodes", "Episodes and tasks", blocks)


def _datasets(shown: Sequence[_Shown]) -> Iterator[Section]:
    cameras = sum(len(one.about.cameras) for one in shown)
    each, left = share_of(PICTURES, cameras, 3, 8), CAMERAS
    lanes = share_of(LANES, 2 * len(shown), 4, 24)
    for one in tqdm(shown, desc="page", unit="dataset", delay=2, leave=False, disable=None):
        drawn = one.about.cameras[:left]
        left -= len(drawn)
        blocks: list[Block] = [Text(warning, "warn") for warning in one.about.warnings]
        blocks.append(_features(one))
        rows = telling_rows(one.opened.dataset.episodes, each)
        blocks += [contact_sheet(one.opened.dataset, camera.key, rows) for camera in drawn if rows]
        if len(drawn) < len(one.about.cameras):
            undrawn = [camera.key for camera in one.about.cameras[len(drawn) :]]
            blocks.append(Text(f"No pictures, for the page has many: {and_more(undrawn, 10)}.", "note"))
        blocks += _strips(one, lanes)
        note = f"{one.about.path}, {one.about.format}"
        yield Section(one.id, one.about.name, blocks, note, is_listed=len(shown) <= LISTED)


def _features(one: _Shown) -> Table:
    cameras = {camera.key: camera for camera in one.about.cameras}
    rows = []
    for feature in one.about.features:
        cells = feature_cells(feature, cameras.get(feature.key))
        bad = feature.key in cameras and cameras[feature.key].problem is not None
        names = and_more(feature.names, 16) if feature.names else cells[3]
        rows.append([*map(text, cells[:3]), text(names, tone="bad" if bad else "")])
    return Table(("feature", "type", "shape", "entries"), rows[:ROWS], "Features", is_folded=len(rows) > FOLDED)


def _strips(one: _Shown, most: int) -> list[Block]:
    """State and action of the first episode over time."""
    dataset = one.opened.dataset
    lengths = dataset.episodes.lengths
    if not lengths.any():
        return []
    ordinal = int(np.argmax(lengths > 0))
    start, length = int(dataset.episodes.starts[ordinal]), min(int(lengths[ordinal]), _EPISODE)
    drawn: list[Chart] = []
    for key in (STATE, ACTION):
        if (vector := one.vector(key)) is not None:
            values = numbers_at(dataset, vector[0], slice(start, start + length))
            drawn.append(strip(key, values, vector[1], (length - 1) / float(dataset.fps), most))
    cut = f", its first {length:,} frames" if length < lengths[ordinal] else ""
    rate = "" if one.opened.fps_is_known else f"; its files say no rate, and {float(dataset.fps):g} fps are assumed"
    caption = f"Episode {dataset.episodes.ids[ordinal]} over time{cut}{rate}. Each lane has a scale of its own."
    return [Charts(drawn, caption=caption, is_wide=True)] if drawn else []
