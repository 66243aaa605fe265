"""The rows of each episode, wherever they lie: told by file names, columns and lengths, in the order of frame_index."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robomix.tools.build.rows import Span
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.owners import owners
from robomix.tools.check.raw.values import number, some
from robomix.tools.repair.consent import Consent


@dataclass(frozen=True)
class EpisodeRows:
    """The rows of one episode."""

    spans: tuple[Span, ...]
    """In frame order."""
    tasks: np.ndarray
    """(T,) int64: the stored task_index of each; -1 where there is none."""
    size: int
    """Bytes they take, about."""

    def __len__(self) -> int:
        return len(self.tasks)


def find_rows(raw: RawLeRobot, consent: Consent) -> dict[int, EpisodeRows]:
    """The rows by episode number, rising. Raises UnverifiableError where no data file can be read."""
    frames, of = raw.frames, owners(raw)
    first_rows = np.concatenate([[0], np.cumsum([file.num_rows for file in frames.files])])
    local = np.arange(len(frames)) - first_rows[frames.file_of]
    each = [raw.files[file.name] / max(1, file.num_rows) for file in frames.files]
    tasks = frames.columns.get("task_index", np.full(len(frames), -1))
    order = np.argsort(of, kind="stable")
    ids, starts = np.unique(of[order], return_index=True)
    if len(ids) and ids[0] < 0:
        consent.impossible.append("some rows do not say which episode they are of.")
    made, apart, back = {}, [], []
    for episode, rows in zip(ids.tolist(), np.split(order, starts[1:]), strict=True):
        if "frame_index" in frames.columns:
            count = frames.columns["frame_index"][rows]
            if (np.diff(count) < 0).any():
                back.append(episode)
                if len(np.unique(count)) < len(count):
                    consent.impossible.append(f"rows of episode {episode} are out of order, and frame_index repeats.")
                rows = rows[np.argsort(count, kind="stable")]
        places = np.stack([frames.file_of[rows], local[rows]])
        cuts = np.flatnonzero((np.diff(places[0]) != 0) | (np.diff(places[1]) != 1)) + 1
        spans = [
            Span(raw.root / frames.files[part[0, 0]].name, int(part[1, 0]), part.shape[1])
            for part in np.split(places, cuts, axis=1)
        ]
        if len(spans) > 1:
            apart.append(episode)
        made[episode] = EpisodeRows(tuple(spans), tasks[rows], round(sum(each[file] for file in places[0])))
    if apart or back:
        wrong = tuple(sorted({*apart, *back}))
        consent.ask(
            "repack", f"rows of {number(len(wrong), 'episode')} lie apart or out of order: {some(wrong)}", wrong
        )
    return made


def rows_lacking(raw: RawLeRobot, key: str, rows: Mapping[int, EpisodeRows]) -> tuple[int, ...]:
    """The episodes of which some file has no column `key`."""
    lacking = {raw.root / file.name for file in raw.data if key not in file.schema.names}
    return tuple(e for e, own in rows.items() if any(span.file in lacking for span in own.spans))
