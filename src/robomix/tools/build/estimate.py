"""What writing a dataset takes, for its plan: bytes, and time. All are about.

Frames to be encoded are tried (`trial`). For the rest the rates are those of `convert` and `merge` on recordings of
480 x 640 in AV1, by one core of a server with a solid-state disk, all reading back and checking included.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from robomix.formats.lerobot.features import parse_features
from robomix.formats.lerobot.write_stats import sampled_frames
from robomix.tools.build.content import Content, Drawn
from robomix.tools.build.layout import Files, video_size
from robomix.tools.build.tables import drawn_pictures
from robomix.tools.build.trial import Trial, as_png, as_video, tried
from robomix.video.encode import find_encoder

WRITTEN_PER_SECOND = 25e6
"""Bytes of numbers: read, measured, written, read back."""
_COPIED_PER_SECOND = 250e6
"""Bytes of video that is copied."""
_DECODED_PER_SECOND = 80e6
"""Pixels of video that is decoded, for the statistics of a camera that nobody knows."""
_PNG = 0.8
"""Bytes of a pixel, where no picture can be tried."""
_FILE, _ALWAYS = 0.01, 0.3
"""Seconds for a file whatever it holds, and for the metadata and the checks of the whole."""


@dataclass(frozen=True)
class Estimate:
    """What there is to be written, and how long it takes."""

    data_bytes: int
    """Of rows, with the pictures in them."""
    copied_bytes: int
    """Of videos whose frames are copied."""
    encoded_bytes: int
    """Of videos whose frames are encoded."""
    seconds: float

    @property
    def bytes(self) -> int:
        """The room it needs on the disk."""
        return self.data_bytes + self.copied_bytes + self.encoded_bytes


def estimate(content: Content, files: Files, *, codec: str, workers: int = 1) -> Estimate:
    """What it takes to write `content` as `files`, by so many processes at a time; `codec` encodes what must be."""
    trials = _trials(content, codec)
    rows = [_rows_cost(content, number, trials) for number in range(len(content.episodes))]
    tables = [sum(seconds for _, seconds in rows[file.first : file.stop]) for file in files.data]
    copied, encoded, videos = 0.0, 0.0, []
    for file in files.videos:
        parts = [content.episodes[number].videos[file.key] for number in range(file.first, file.stop)]
        if file.encoded:
            frames, trial = sum(map(len, parts)), trials[file.key]
            encoded += frames * trial.bytes
            videos.append(frames * trial.seconds)
        else:
            size = sum(video_size(part) for part in parts)
            copied += size
            videos.append(size / _COPIED_PER_SECOND + _measured(content, file.key, file.first, file.stop))
    seconds = _together([*tables, *videos], workers)
    return Estimate(round(sum(size for size, _ in rows)), round(copied), round(encoded), seconds)


def drawn_parts(content: Content, key: str) -> list[Drawn]:
    """Of a camera: what must be encoded."""
    parts = (episode.videos.get(key) for episode in content.episodes)
    return [part for part in parts if isinstance(part, Drawn)]


def _trials(content: Content, codec: str) -> dict[str, Trial]:
    """What a frame takes, of each camera of which some must be encoded."""
    made = {}
    for key, spec in content.features.items():
        if parts := drawn_parts(content, key):
            video = partial(as_video, fps=content.fps, codec=codec), find_encoder(codec).bytes_per_pixel
            made[key] = tried(parts, *(video if spec["dtype"] == "video" else (as_png, _PNG)))
    return made


def _rows_cost(content: Content, number: int, trials: dict[str, Trial]) -> tuple[float, float]:
    """(bytes, seconds) of the rows of an episode."""
    episode = content.episodes[number]
    size, seconds = float(episode.rows.size), episode.rows.size / WRITTEN_PER_SECOND
    for key, part in drawn_pictures(content, episode).items():
        size += len(part) * trials[key].bytes
        seconds += len(part) * trials[key].seconds
    return size, seconds


def _measured(content: Content, key: str, first: int, stop: int) -> float:
    """Seconds that statistics of these episodes' frames take, which are copied: none where they are known."""
    unknown = [episode for episode in content.episodes[first:stop] if key not in episode.camera_stats]
    return sum(len(sampled_frames(episode.length)) for episode in unknown) * _pixels(content, key) / _DECODED_PER_SECOND


def _pixels(content: Content, key: str) -> int:
    found, _ = parse_features({key: content.features[key]}, Path())
    return int(found[key].shape[1] * found[key].shape[2]) if key in found else 0


def _together(costs: Sequence[float], workers: int) -> float:
    """Seconds of files that so many processes write: no less than the longest takes."""
    whole = sum(costs) + _FILE * len(costs)
    return _ALWAYS + max(whole / max(1, min(workers, len(costs))), max(costs, default=0.0))
