"""Camera frames that must be encoded: of videos that cannot be cut where they would have to be, or of any dataset."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from robomix.formats.base import Dataset
from robomix.tools.build.content import Content, Drawn
from robomix.tools.build.cuts import groups, joined, obstacle
from robomix.video.pool import decoders
from robomix.video.remux import Clip
from robomix.video.timeline import open_video


@dataclass(frozen=True)
class FileFrames:
    """The frames of one video file."""

    path: Path
    height: int
    width: int

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(n, 3, height, width) uint8. Raises FormatError for frames the file does not have."""
        out = np.empty((len(rows), 3, self.height, self.width), np.uint8)
        with decoders.lend(self.path) as decoder:
            decoder.read_into(np.asarray(rows, np.int64), out, np.arange(len(rows)))
        return out


@dataclass(frozen=True)
class DatasetFrames:
    """The frames of one camera of a dataset, by row."""

    dataset: Dataset
    key: str

    @property
    def height(self) -> int:
        return self.dataset.features[self.key].shape[1]

    @property
    def width(self) -> int:
        return self.dataset.features[self.key].shape[2]

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(n, 3, height, width) uint8; a grey camera's three times."""
        frames = self.dataset.read_frames(self.key, rows)
        return np.repeat(frames, 3, axis=1) if frames.shape[1] == 1 else frames[:, :3]


def file_frames(path: Path) -> FileFrames:
    """The frames of a video file. Raises FormatError for one that is no video."""
    with open_video(path) as container:
        stream = container.streams.video[0]
        size = stream.height, stream.width
    return FileFrames(path, *size)


def encodable(clip: Clip, reason: str) -> Drawn:
    """The frames of a clip, to be encoded again for the `reason`."""
    return Drawn(file_frames(clip.path), np.arange(clip.start, clip.stop), reason)


def with_cuts(content: Content, *, apart: bool) -> Content:
    """`content` with the frames that cannot be copied to be encoded, for the reasons the files give.

    `apart`: each episode has a file of its own (v2.x), so that the videos must be cut between all of them.
    """
    videos: list[dict[str, Clip | Drawn]] = [dict(episode.videos) for episode in content.episodes]
    for key in content.videos:
        parts = [episode.videos[key] for episode in content.episodes]
        for first, stop in [(i, i + 1) for i in range(len(parts))] if apart else groups(parts):
            clips = [part for part in parts[first:stop] if isinstance(part, Clip)]
            if clips and (reason := obstacle(joined(clips)[0])):
                for i, clip in enumerate(clips, first):
                    videos[i][key] = encodable(clip, reason)
    return replace(
        content, episodes=tuple(replace(e, videos=own) for e, own in zip(content.episodes, videos, strict=True))
    )
