"""What materializing a mixture will write, told before anything is written."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from robomix.config import MixtureConfig
from robomix.errors import ConfigError, FormatError
from robomix.files import expanded
from robomix.formats.claims import free_for
from robomix.formats.detect import open_dataset
from robomix.mixture.factory import open_sources
from robomix.mixture.materialized import INDEX, Record, Storage
from robomix.mixture.source import Source
from robomix.mixture.split import split
from robomix.statistics.groups import folder_name
from robomix.tools.build import plan as build_plan
from robomix.tools.build.content import Drawn
from robomix.tools.build.foreign import content_of_dataset
from robomix.tools.build.frames import DatasetFrames
from robomix.tools.build.places import no_linked_source, no_room, no_source, replaced_bytes
from robomix.tools.build.trial import reading_seconds
from robomix.tools.materialize.frame_files import store_bytes
from robomix.tools.materialize.obstacles import notes_on, obstacles
from robomix.tools.materialize.small import CODEC, SmallDataset
from robomix.tools.materialize.target import check_target

MIXTURE_FILE = "mixture.yaml"
_REASON = "frames are resized"
_LARGEST = 1 << 14
"""Pixels of a side: no encoder of H.264 takes more."""
_STORED_PER_SECOND = 400e6
"""Bytes of raw frames that one process writes and reads back."""


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
    seconds: float
    """About how long it takes."""
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

    @property
    def seconds(self) -> float:
        """About how long that takes."""
        return sum(part.seconds for part in self.parts if not part.is_there)

    @property
    def replaced_bytes(self) -> int:
        """Of what earlier runs have left there, which stays until each new source is complete."""
        ask = partial(check_target, overwrite=self.overwrite)
        return sum(replaced_bytes(part.folder, ask) for part in self.parts if not part.is_there)

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
                    "seconds": round(part.seconds, 1),
                    "is_there": part.is_there,
                }
                for part in self.parts
            ],
            "bytes": self.needed,
            "replaced_bytes": self.replaced_bytes,
            "seconds": round(self.seconds, 1),
            "notes": list(self.notes),
            "refusals": list(self.refusals),
        }


def make_plan(
    config: MixtureConfig,
    out: Path,
    *,
    height: int,
    width: int,
    storage: Storage = "video",
    overwrite: bool = False,
    workers: int = 1,
) -> Plan:
    """Decides how the mixture of `config` is stored in the folder `out`, its pictures `height` x `width`.

    `overwrite`: what earlier runs have left in `out` may be replaced. `workers` processes are meant to write.

    Raises what opening the datasets raises, and ConfigError for a size that is none; all else comes back as refusals.
    """
    if height < 1 or width < 1:
        raise ConfigError(f"pictures of {height}x{width} (height x width) have no pixels. Give 1 or more.")
    if max(height, width) > _LARGEST:
        raise ConfigError(f"pictures of {height}x{width} (height x width) are too large. Give at most {_LARGEST:,}.")
    if config.materialized is not None:
        raise ConfigError(f"the mixture reads materialized frames already ({config.materialized}): leave that key out.")
    out = Path(os.path.abspath(expanded(out)))
    whole = open_sources(config)
    trained = split(whole, config.val_fraction)
    smalls = [SmallDataset(source, height, width) for source in whole]
    names = _folders([source.name for source in whole])
    parts, notes, refusals = [], list[str](), list[str]()
    for source, small, name in zip(trained, smalls, names, strict=True):
        refusals += obstacles(source, small, storage)
        notes += notes_on(source, small)
        parts.append(_part(source, small, out / name, storage, overwrite, workers))
    if not any(small.cameras for small in smalls):
        refusals.append("the mixture has no cameras, so there is nothing to resize.")
    plan = Plan(config, out, height, width, storage, overwrite, tuple(parts), tuple(notes), ())
    return replace(plan, refusals=(*refusals, *_place_problems(plan)))


def _part(source: Source, small: SmallDataset, folder: Path, storage: Storage, overwrite: bool, workers: int) -> Part:
    record = _record(source, small, storage)
    is_there = _holds(folder, record)
    if storage == "frames":
        size = store_bytes(small)
        seconds = 0.0 if is_there else _store_seconds(small, size) / workers
        return Part(source, small, folder, record, size, seconds, is_there, None)
    if is_there:
        size = replaced_bytes(folder, lambda _: None)
        return Part(source, small, folder, record, size, 0.0, is_there, None)
    content = content_of_dataset(small, codec=CODEC, reason=_REASON)
    ask = partial(check_target, overwrite=overwrite)
    build = build_plan.make_plan(content, folder, overwrite=overwrite, ask=ask, codec=CODEC, workers=workers)
    return Part(source, small, folder, record, build.takes.bytes, build.takes.seconds, is_there, build)


def _record(source: Source, small: SmallDataset, storage: Storage) -> Record:
    fps = small.fps
    return Record(
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


def _store_seconds(small: SmallDataset, size: int) -> float:
    """About how long one process takes to write a store of so many bytes."""
    rows = np.arange(small.num_frames)
    each = [reading_seconds([Drawn(DatasetFrames(small, key), rows, _REASON)]) for key in small.cameras]
    return small.num_frames * sum(each) + size / _STORED_PER_SECOND


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


def _place_problems(plan: Plan) -> Iterator[str]:
    """Why nothing can be written where it should be."""
    if plan.out.exists() and not plan.out.is_dir():
        yield f"{plan.out} is not a folder. Choose another place."
        return
    expected = {part.folder.name for part in plan.parts} | {MIXTURE_FILE, INDEX}
    found = sorted(entry.name for entry in plan.out.iterdir()) if plan.out.is_dir() else []
    if others := [name for name in found if name not in expected and not name.startswith(".")]:
        yield f"{plan.out} holds {', '.join(others[:8])}, which is not of this mixture. Choose another folder."
    for part in (part for part in plan.parts if not part.is_there):
        if part.build is not None:
            yield from part.build.refusals
            continue
        try:
            check_target(part.folder, overwrite=plan.overwrite)
        except ConfigError as error:
            yield str(error)
    sources = [part.small.path for part in plan.parts]
    yield from no_source(plan.out, sources)
    yield from no_linked_source(plan.out, sources)
    free = max((free_for(part.folder) for part in plan.parts), default=0)
    yield from no_room(plan.out / MIXTURE_FILE, plan.needed, free)
