"""What materializing a mixture will write, told before anything is written."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, cast

from robomix.config import MixtureConfig
from robomix.errors import ConfigError, FormatError
from robomix.formats.detect import open_dataset
from robomix.formats.lerobot.features import parse_features
from robomix.formats.lerobot.write_meta import declare
from robomix.mixture.factory import open_sources
from robomix.mixture.materialized import INDEX, RECORD, Record, Storage, with_resize
from robomix.mixture.source import Source
from robomix.mixture.split import split
from robomix.statistics.groups import folder_name
from robomix.tools.build import plan as build_plan
from robomix.tools.build.foreign import content_of_dataset
from robomix.tools.build.layout import video_size
from robomix.tools.materialize.frame_files import store_bytes
from robomix.tools.materialize.small import SmallDataset
from robomix.video.encode import find_encoder

CODEC = "h264"
"""Of `video`: key frames every second frame and no B-frames, so that any frame takes one or two to decode."""
MIXTURE_FILE = "mixture.yaml"
_REASON = "frames are resized"
_SPARE = 1.05
"""Free space asked for, relative to what is expected to be written."""


@dataclass(frozen=True)
class Part:
    """One source of the mixture, as it will be stored."""

    source: Source
    """With what it trains on; `held_out` has the rest."""
    small: SmallDataset
    folder: Path
    record: Record
    size: int
    """Bytes it takes: of frames exactly, of video roughly."""
    is_there: bool
    """It lies in its folder already: an earlier run has finished it."""
    build: build_plan.Plan | None
    """Of `video`: how its dataset is written."""


@dataclass(frozen=True)
class Plan:
    """A mixture that is about to be materialized."""

    config: MixtureConfig
    out: Path
    height: int
    width: int
    storage: Storage
    overwrite: bool
    parts: tuple[Part, ...]
    notes: tuple[str, ...]
    """What one should know and may not want."""
    refusals: tuple[str, ...]
    """Why it cannot be done."""

    @property
    def needed(self) -> int:
        """Bytes still to be written."""
        return sum(part.size for part in self.parts if not part.is_there)

    def record(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        return {
            "out": str(self.out),
            "as": self.storage,
            "height": self.height,
            "width": self.width,
            "sources": [
                {
                    "name": part.source.name,
                    "folder": part.folder.name,
                    "episodes": part.small.num_episodes,
                    "frames": part.small.num_frames,
                    "cameras": list(part.small.cameras),
                    "bytes": part.size,
                    "is_there": part.is_there,
                }
                for part in self.parts
            ],
            "bytes": self.needed,
            "notes": list(self.notes),
            "refusals": list(self.refusals),
        }


def make_plan(
    config: MixtureConfig, out: Path, *, height: int, width: int, storage: Storage = "video", overwrite: bool = False
) -> Plan:
    """Decides how the mixture of `config` is stored in the folder `out`, its pictures `height` x `width`.

    Raises what opening the datasets raises, and ConfigError for a size that is none; all else comes back as refusals.
    """
    if height < 1 or width < 1:
        raise ConfigError(f"pictures of {height}x{width} (height x width) have no pixels. Give 1 or more.")
    if config.materialized is not None:
        raise ConfigError(f"the mixture reads materialized frames already ({config.materialized}): leave that key out.")
    out = Path(os.path.abspath(out.expanduser()))
    whole = open_sources(config)
    trained = split(whole, config.val_fraction)
    smalls = [SmallDataset(source, height, width) for source in whole]
    names = _folders([source.name for source in whole])
    parts, notes, refusals = [], list[str](), list[str]()
    for source, small, name in zip(trained, smalls, names, strict=True):
        refusals += _obstacles(source, small, storage)
        notes += _notes(source, small)
        parts.append(_part(source, small, out / name, storage, overwrite))
    if not any(small.cameras for small in smalls):
        refusals.append("the mixture has no cameras, so there is nothing to resize.")
    plan = Plan(config, out, height, width, storage, overwrite, tuple(parts), tuple(notes), ())
    return replace(plan, refusals=(*refusals, *_place_problems(plan)))


def _part(source: Source, small: SmallDataset, folder: Path, storage: Storage, overwrite: bool) -> Part:
    fps = small.fps
    record = Record(
        source=source.name,
        recording=small.original.recording.fingerprint,
        content=small.original.fingerprint,
        fps=(fps.numerator, fps.denominator),
        episodes=tuple(small.episodes.ids.tolist()),
        cameras=small.cameras,
        height=small.height,
        width=small.width,
        storage=storage,
        codec=CODEC if storage == "video" else None,
    )
    is_there = _holds(folder, record)
    if storage == "frames":
        return Part(source, small, folder, record, store_bytes(small), is_there, None)
    content = content_of_dataset(small, cameras_as="video", codec=CODEC, reason=_REASON)
    videos = sum(video_size(part) for episode in content.episodes for part in episode.videos.values())
    size = round(videos) + sum(episode.rows.size for episode in content.episodes)
    build = None if is_there else build_plan.make_plan(content, folder, overwrite=overwrite)
    return Part(source, small, folder, record, size, is_there, build)


def _holds(folder: Path, record: Record) -> bool:
    """Whether an earlier run has stored just this in `folder`."""
    try:
        return Record.read(folder) == record and len(open_dataset(folder).episodes) == len(record.episodes)
    except FormatError:
        return False


def _folders(names: list[str]) -> list[str]:
    """A folder for each source, whose names are told apart by numbers where they come to the same."""
    made: list[str] = []
    for name in names:
        letters = (letter if letter.isalnum() or letter in "_.-#" else "-" for letter in folder_name(name))
        plain = "".join(letters).lstrip(".") or "source"
        taken = {other.lower() for other in (*made, INDEX, MIXTURE_FILE)}
        choices = (plain if number == 1 else f"{plain}-{number}" for number in count(1))
        made.append(next(choice for choice in choices if choice.lower() not in taken))
    return made


def _obstacles(source: Source, small: SmallDataset, storage: Storage) -> Iterator[str]:
    """Why a source cannot be stored so."""
    where = f"source {source.name!r}"
    try:
        with_resize(source.config, small.height, small.width)
    except ConfigError as error:
        yield str(error)
    if storage == "frames":
        return
    if small.cameras and (small.height % 2 or small.width % 2):
        yield f"{where}: video needs an even height and width, found {small.height}x{small.width}; or use --as frames."
    for key in small.cameras:
        if small.features[key].shape[0] != 3:
            channels = small.features[key].shape[0]
            yield f"{where}: camera {key!r} has {channels} channels, and video has 3. Use --as frames."
    for key, found in _changed_shapes(small).items():
        yield f"{where}: {key!r} of shape {small.features[key].shape} would be read back as {found}. Use --as frames."
    if source.config.eval and "type" not in (source.config.env or {}):
        yield (
            f"{where}: it is evaluated in the environment its dataset names, which a LeRobot dataset cannot name. Name "
            "it with the source (`env: {type: ...}`), leave `eval` out, or use --as frames."
        )


def _changed_shapes(small: SmallDataset) -> dict[str, tuple[int, ...]]:
    """Numeric features that a LeRobot dataset holds with another shape: one number, or a vector of one."""
    numeric = {key: feature for key, feature in small.features.items() if feature.kind == "numeric"}
    declared = {key: declare(feature, small.fps, find_encoder(CODEC)) for key, feature in numeric.items()}
    read, _ = parse_features(declared, Path())
    return {key: feature.shape for key, feature in read.items() if feature.shape != numeric[key].shape}


def _notes(source: Source, small: SmallDataset) -> Iterator[str]:
    size = small.height, small.width
    for key in small.cameras:
        recorded = cast(tuple[int, int], small.original.features[key].shape[1:])
        if recorded < size and recorded[0] * recorded[1] < size[0] * size[1]:
            yield f"source {source.name!r}: camera {key!r} is only {recorded[0]}x{recorded[1]}; its frames get larger."
    own = [step.type for step in source.config.transforms if ":" in step.type]
    if own and small.cameras:
        yield f"source {source.name!r}: {', '.join(own)} will be given resized pictures, as after `resize_images`."


def _place_problems(plan: Plan) -> Iterator[str]:
    """Why nothing can be written where it should be."""
    if plan.out.exists() and not plan.out.is_dir():
        yield f"{plan.out} is not a folder. Choose another place."
        return
    expected = {part.folder.name for part in plan.parts} | {MIXTURE_FILE, INDEX}
    found = sorted(entry.name for entry in plan.out.iterdir()) if plan.out.is_dir() else []
    if others := [name for name in found if name not in expected and not name.startswith(".")]:
        yield f"{plan.out} holds {', '.join(others[:8])}, which is not of this mixture. Choose another folder."
    for part in plan.parts:
        if part.folder.exists() and not part.is_there and not plan.overwrite:
            yield f"{part.folder} holds something else than what is asked for. Choose another --out, or use --force."
        elif part.folder.exists() and not part.is_there and not (part.folder / RECORD).is_file():
            yield f"{part.folder} was not written by `robomix materialize`, so --force leaves it. Choose another --out."
    folder = next(parent for parent in (plan.out, *plan.out.parents) if parent.exists())
    free, needed = shutil.disk_usage(folder).free, round(_SPARE * plan.needed)
    if free < needed:
        yield f"{folder} has {free:,} bytes free, and about {needed:,} are needed."
    if not os.access(folder, os.W_OK):
        yield f"{folder} may not be written to. Choose another place."
