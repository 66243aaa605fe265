"""Which format a folder holds, decided by what lies in it."""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robomix.errors import FormatError, did_you_mean
from robomix.files import expanded
from robomix.formats.aloha_hdf5 import AlohaDataset, is_aloha
from robomix.formats.base import Dataset
from robomix.formats.cached import CachedDataset
from robomix.formats.frame_store import FrameStore, is_frame_store
from robomix.formats.gr00t import Gr00tDataset, is_gr00t
from robomix.formats.lerobot.dataset import LeRobotDataset, is_lerobot
from robomix.formats.lerobot.part import WHOLE, Part
from robomix.formats.rlds.dataset import RldsDataset, is_rlds
from robomix.formats.robomimic.dataset import RobomimicDataset, is_robomimic
from robomix.formats.zarr_buffer import ZarrBuffer, is_zarr_buffer
from robomix.remote.mirror import local_path
from robomix.remote.places import told_by_url, with_urls
from robomix.video.pool import DecodeDevice

_SHOWN = 8
_TRIED = 100
"""Entries of a folder that are looked at in search of a dataset."""


@dataclass(frozen=True)
class Format:
    """One format that `open_dataset` knows."""

    name: str
    """For people, with what tells it apart."""
    sniff: Callable[[Path], bool]
    """Whether a path holds this format, from a look at file names."""
    kind: type[CachedDataset]
    """Opens a path that `sniff` accepted, or raises FormatError."""


FORMATS = (
    Format("GR00T (LeRobot with meta/modality.json)", is_gr00t, Gr00tDataset),
    Format("LeRobot v2.0, v2.1, v3.0 (a folder with meta/info.json)", is_lerobot, LeRobotDataset),
    Format("ALOHA or ACT HDF5 (a folder with episode_0.hdf5, ...)", is_aloha, AlohaDataset),
    Format("robomimic HDF5 (a file, or a folder with one)", is_robomimic, RobomimicDataset),
    Format("Diffusion Policy zarr (a folder or a .zarr.zip, v2 or v3)", is_zarr_buffer, ZarrBuffer),
    Format("robomix frame store (a folder with meta/frames.json)", is_frame_store, FrameStore),
    Format("RLDS (a TFDS folder with features.json and *.tfrecord-* files)", is_rlds, RldsDataset),
)
"""In the order they are tried."""


def open_dataset(
    path: str | Path, *, fps: float | None = None, part: Part = WHOLE, decode_device: DecodeDevice = "cpu"
) -> Dataset:
    """Open the dataset at `path`, whatever its format. The first opening reads it into the cache.

    `path` may be a URL such as `s3://bucket/set`; then its tables are fetched, and its videos read where they lie.

    `fps` says how many frames per second it has where its files do not; where they do, it must be theirs. Of a LeRobot
    dataset, a `part` can be opened; files of other parts need not be there. `decode_device` is what decodes videos.

    Raises FormatError where there is no dataset, or one that cannot be read: what was found, and what to do; and
    RemoteError for a URL from which nothing can be fetched. Raises ConfigError for a `decode_device` that is not there,
    or does not decode the videos as the processor does.
    Warns about declared features that the files do not have.
    """
    with told_by_url():
        return _opened(Path(os.path.abspath(local_path(expanded(path)))), fps, part, decode_device)


def _opened(path: Path, fps: float | None, part: Part, decode_device: DecodeDevice) -> Dataset:
    if not path.exists():
        neighbours = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise FormatError(f"{path} does not exist, expected a dataset.{did_you_mean(path.name, neighbours)}")
    for known in FORMATS:
        try:
            mine = known.sniff(path)
        except PermissionError as error:
            raise FormatError(f"{error.filename} cannot be read: {error.strerror}. Check its permissions.") from error
        if mine:
            if issubclass(known.kind, LeRobotDataset):
                dataset: CachedDataset = known.kind.opened(path, fps, part, decode_device)
            else:
                dataset = known.kind.opened(path, fps)
            for text in dataset.left_out:
                warnings.warn(with_urls(f"{path}: {text}."), stacklevel=3)
            return dataset
    names = "; ".join(known.name for known in FORMATS)
    raise FormatError(f"{path} is not a dataset robomix knows: {_seen(path)}. It reads {names}.")


def _seen(path: Path) -> str:
    """What lies at a path that no format claims, and where a dataset near it is."""
    if not path.is_dir():
        return f"it is a file of {path.stat().st_size:,} bytes, not a folder"
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in path.iterdir())
    if not names:
        return "the folder is empty"
    near = [place for place in (path.parent, *sorted(path.iterdir())[:_TRIED]) if _is_dataset(place)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    hint = f", but {near[0]} is one" if near else ""
    return f"the folder holds {', '.join(names[:_SHOWN])}{more}{hint}"


def _is_dataset(place: Path) -> bool:
    try:
        return any(known.sniff(place) for known in FORMATS)
    except PermissionError:
        return False
