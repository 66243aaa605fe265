"""ALOHA's and ACT's HDF5 recordings: a folder with one file `episode_N.hdf5` for each episode.

The layout is that of `record_episodes.py` of ALOHA and `record_sim_episodes.py` of ACT: `action`, `observations/qpos`,
`observations/qvel`, `observations/effort` and `observations/images/<camera>`. Pictures are arrays (T, H, W, 3) of
uint8, or JPEG files (T, most bytes) padded with zeros, as ALOHA's compression leaves them; (T,) arrays of bytes, as
other recorders write them, are read too. Keys are named as LeRobot's policies expect them:

    action                          action
    observations/qpos               observation.state
    observations/qvel, effort       observation.velocity, observation.effort
    observations/images/cam_high    observation.images.cam_high
    base_action, others             as they are, those in `observations` as observation.<name>

Red and blue. A JPEG file says which is which, and is believed, as openpi's converter does since its #304. But a
recorder that hands RGB pictures to `cv2.imencode`, which expects BGR, writes files whose red and blue are exchanged;
ACT's own loader undoes that by `cv2.imdecode` without a conversion. The file does not say how it was recorded. Where
the pictures are blue in the face, `transforms: [{type: swap_red_blue}]` puts them right.
"""

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Self

import h5py

from robomix.errors import FormatError
from robomix.features import Feature
from robomix.files import Listing
from robomix.formats.cached import CachedDataset, Camera
from robomix.formats.columns import Builder, build, entry_folder, lookup
from robomix.formats.hdf5 import Faults
from robomix.formats.hdf5_cameras import Hdf5Camera, checked_pictures, picture_bytes
from robomix.formats.hdf5_episodes import EpisodeGroup, Surveyor, described, fill_columns
from robomix.formats.hdf5_handles import handles
from robomix.video.pictures import picture_size

READER = "aloha-1"
"""Version of what is put into the cache; a new one makes every folder be read again."""
EPISODE_FILE = re.compile(r"episode_?(\d{1,18})\.(?:hdf5|h5)", re.ASCII)
"""Names of the files of episodes, with the number of the episode."""
_IMAGES = "observations/images/"
_NAMES = {
    "action": "action",
    "observations/qpos": "observation.state",
    "observations/qvel": "observation.velocity",
    "observations/effort": "observation.effort",
}


def is_aloha(path: Path) -> bool:
    """Whether the path is a folder with files called `episode_N.hdf5`."""
    return path.is_dir() and any(EPISODE_FILE.fullmatch(name) for name in os.listdir(path))


class AlohaDataset(CachedDataset):
    """Pictures are read where they lie, numbers from the cache. The files say no rate: `fps` must be given."""

    @classmethod
    def opened(cls, path: Path, fps: float | None = None) -> Self:
        root = path.resolve()
        episodes = _episodes(root)
        stats = [episode.path.stat() for episode in episodes]
        names = [episode.path.name for episode in episodes]
        listing = Listing(root, {n: (s.st_size, s.st_mtime_ns) for n, s in zip(names, stats, strict=True)})
        folder = entry_folder(root, listing.key(READER))
        return cls(path, lookup(folder) or build(folder, partial(_fill_cache, root, episodes)), fps)

    def camera(self, key: str) -> Camera:
        root, meta = self.path.resolve(), self._entry.meta
        files, name = meta["files"], meta["names"][key]

        def place(ordinal: int) -> tuple[Path, str]:
            return root / files[ordinal], name

        encoded = self.features[key].storage == "image"
        return Hdf5Camera(key, self.features[key].shape, self.episodes, place, encoded=encoded)


def _episodes(root: Path) -> list[EpisodeGroup]:
    """In the order of their numbers, which may have gaps."""
    found: dict[int, Path] = {}
    for name in sorted(os.listdir(root)):
        match = EPISODE_FILE.fullmatch(name)
        if match and (number := int(match[1])) in found:
            raise FormatError(f"{root}: {found[number].name} and {name} are both episode {number}. Rename one.")
        if match and (root / name).is_file():
            found[number] = root / name
    if not found:
        raise FormatError(f"{root} has no files episode_0.hdf5, episode_1.hdf5, ... any more. Restore them.")
    return [EpisodeGroup(number, found[number], "") for number in sorted(found)]


def _fill_cache(root: Path, episodes: Sequence[EpisodeGroup], cache: Builder) -> None:
    strict = ("action", "observations/qpos", "observations/qvel", "observations/effort")
    surveyor = Surveyor(
        _key,
        _described,
        required=["action", "observations/qpos"],
        strict=lambda name: name in strict or name.startswith(_IMAGES),
    )
    for episode in episodes:
        surveyor.add(episode)
    meta = {"format": "ALOHA HDF5", "fps": None, "robot_type": None, "tasks": [root.name]}
    fill_columns(cache, surveyor.found, episodes, meta | {"files": [episode.path.name for episode in episodes]})
    handles.close()  # who only wants numbers holds no file open


def _described(array: h5py.Dataset, name: str, episode: EpisodeGroup) -> Feature | str:
    """As `described`, and encoded pictures; their size is that of the first."""
    if not name.startswith(_IMAGES) or len(array.shape or ()) == 4:
        return described(array, name, episode)
    pictures = checked_pictures(array, episode.path)
    where = f"{episode.path}: frame 0 of {name}"
    if not pictures.shape[0]:
        return "it has no pictures"
    with Faults(episode.path, name):
        first = picture_bytes(pictures[0])
    return Feature("camera", "uint8", (3, *picture_size(first, where)), storage="image")


def _key(name: str, pictures: bool) -> str | None:
    if name in _NAMES:
        return _NAMES[name]
    if name.startswith(_IMAGES):
        return f"observation.images.{name.removeprefix(_IMAGES).replace('/', '.')}"
    if name == "compress_len":
        return None
    return name.replace("observations/", "observation.", 1).replace("/", ".")
