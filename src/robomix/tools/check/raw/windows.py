"""Where the metadata puts each episode's frames of each camera: a video file, and in v3.0 the seconds within it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from robomix.errors import FormatError
from robomix.formats.lerobot.info import DEFAULT_PATHS, fill
from robomix.formats.rate import as_rate
from robomix.tools.check.finding import UnverifiableError
from robomix.tools.check.raw.glances import Glances, glance
from robomix.tools.check.raw.lerobot import RawLeRobot, Row
from robomix.tools.check.raw.owners import owners
from robomix.tools.check.raw.values import whole
from robomix.tools.check.raw.videos import VideoFacts, Videos


@dataclass(frozen=True)
class Window:
    """The frames of one episode in one camera's videos."""

    episode: int
    key: str
    file: str | None
    """Relative to the dataset; None: the file that the metadata names is not there."""
    start: float
    """Seconds from the start of the file, as the metadata has it; NaN: it has no number."""
    stop: float
    """Likewise, behind the last frame. v2.x has no such thing: its episodes fill their files."""
    length: int
    """Frames of the episode: in `Footage.windows` as the metadata says, in `Footage.by_file` the rows it has."""


class Footage:
    """The videos of a LeRobot dataset: facts of its files, and windows of its episodes."""

    def __init__(self, raw: RawLeRobot) -> None:
        self.raw, self.videos = raw, Videos(raw.root, raw.read_video)
        self._glances: dict[str, Glances | None] = {}

    @cached_property
    def fps(self) -> Fraction:
        try:
            return as_rate(self.raw.fps, "fps")
        except FormatError as error:
            raise UnverifiableError(str(error)) from error

    @cached_property
    def lengths(self) -> Mapping[int, int]:
        """Rows of each episode: as the data files have them, else as the metadata says."""
        try:
            found, counts = np.unique(owners(self.raw), return_counts=True)
            return dict(zip(found.tolist(), counts.tolist(), strict=True))
        except UnverifiableError:
            return self.raw.lengths

    @cached_property
    def windows(self) -> list[Window]:
        """By camera and, within it, in the order of the metadata, of which alone they are."""
        rows = self.raw.episode_rows.values()
        place = self._of_v2 if self.raw.layout == "v2" else self._of_v3
        return [place(row, key) for key in self.raw.cameras for row in rows]

    @cached_property
    def by_file(self) -> dict[tuple[str, str], list[Window]]:
        """Windows of episodes that have rows and whose file is there, by camera and file."""
        files: dict[tuple[str, str], list[Window]] = {}
        for window in self.windows:
            if window.file is not None and (rows := self.lengths.get(window.episode)):
                files.setdefault((window.key, window.file), []).append(replace(window, length=rows))
        return files

    def key_of(self, name: str) -> str | None:
        """The camera a video file is of, by its folder."""
        folders = name.split("/")
        return next((key for key in self.raw.cameras if key in folders), None)

    def glances(self, name: str) -> Glances | None:
        """A look at every frame of a file, decoded once; None for what is no video."""
        if name not in self._glances:
            facts = self.videos.facts(name)
            self._glances[name] = None if facts is None else glance(self.raw.root / name, facts.count)
        return self._glances[name]

    def facts_by_key(self) -> dict[str | None, dict[str, VideoFacts]]:
        """The facts of every video file that is whole, by camera; None: the file is of no declared camera."""
        found: dict[str | None, dict[str, VideoFacts]] = {}
        for name in self.raw.video_names:
            facts = self.videos.facts(name)
            if facts is not None and not facts.is_cut_off:
                found.setdefault(self.key_of(name), {})[name] = facts
        return found

    def episodes_in(self, names: Iterable[str]) -> tuple[int, ...]:
        """The episodes that the metadata puts into these files; none where it cannot be read."""
        wanted = set(names)
        try:
            return tuple(sorted({window.episode for window in self.windows if window.file in wanted}))
        except UnverifiableError:
            return ()

    def _of_v2(self, row: Row, key: str) -> Window:
        episode = row["episode_index"]
        chunk = episode // self.raw.chunks_size
        file = self._file(episode_chunk=chunk, episode_index=episode, video_key=key)
        return Window(episode, key, file, 0.0, float("nan"), self.raw.lengths[episode])

    def _of_v3(self, row: Row, key: str) -> Window:
        episode, prefix = row["episode_index"], f"videos/{key}"
        chunk, number = (whole(row.get(f"{prefix}/{part}_index")) for part in ("chunk", "file"))
        file = None
        if chunk is not None and number is not None:
            file = self._file(chunk_index=chunk, file_index=number, video_key=key)
        start, stop = (_seconds(row.get(f"{prefix}/{end}_timestamp")) for end in ("from", "to"))
        return Window(episode, key, file, start, stop, self.raw.lengths[episode])

    def _file(self, **values: int | str) -> str | None:
        """The file that info.json's template names, or LeRobot's own template, whichever is there."""
        for template in (self.raw.template("video_path"), DEFAULT_PATHS[self.raw.layout][1]):
            try:
                name = fill(template, self.raw.root, **values)
            except FormatError:
                continue
            if name is not None and name in self.raw.files:
                return name
        return None


def _seconds(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else float("nan")
