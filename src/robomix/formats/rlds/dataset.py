"""RLDS datasets as TFDS writes them: episodes as records of TFRecord shards, described by features.json.

All splits make one dataset, in the order of dataset_info.json; `subsets` has the episodes of each. Numbers and encoded
pictures lie in the column cache. The rate is not in the files.
"""

from functools import partial
from pathlib import Path
from typing import Self

from robomix.errors import FormatError
from robomix.files import Listing, read_json
from robomix.formats.cached import CachedDataset, Camera
from robomix.formats.columns import build, entry_folder, lookup
from robomix.formats.pictures import PictureCamera
from robomix.formats.rate import settled_rate
from robomix.formats.rlds.build import fill_cache
from robomix.formats.rlds.shards import find_shards

READER = "rlds-1"
"""Version of what `build` puts into the cache; a new one makes every dataset be read again."""
_DECLARED, _INFO = "features.json", "dataset_info.json"


def is_rlds(path: Path) -> bool:
    """Whether the folder looks like a TFDS dataset, or holds versions of one."""
    if not path.is_dir():
        return False
    own = (path / _DECLARED).exists() or next(path.glob("*.tfrecord-*-of-*"), None) is not None
    return own or bool(_versions(path))


class RldsDataset(CachedDataset):
    """Numbers and encoded pictures come from the cache. The files do not say their rate: `fps` is needed."""

    @classmethod
    def opened(cls, path: Path, fps: float | None = None) -> Self:
        settled_rate(None, fps, path)  # before anything is read
        root = _version_folder(path.resolve())
        info, declared = read_json(root / _INFO), read_json(root / _DECLARED)
        shards = find_shards(root, info)
        files = [root / name for name in (_INFO, _DECLARED, *(shard.name for shard in shards))]
        stats = {file.name: (file.stat().st_size, file.stat().st_mtime_ns) for file in files}
        folder = entry_folder(root, Listing(root, stats).key(READER))
        entry = lookup(folder) or build(folder, partial(fill_cache, root, info, declared, shards))
        return cls(path, entry, fps)

    def camera(self, key: str) -> Camera:
        return PictureCamera(key, self.path, self._entry)


def _versions(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and (child / _DECLARED).exists())


def _version_folder(path: Path) -> Path:
    if (path / _DECLARED).exists():
        return path
    versions = _versions(path)
    if len(versions) == 1:
        return versions[0]
    if versions:
        names = ", ".join(version.name for version in versions)
        raise FormatError(f"{path} holds the versions {names} of a dataset. Open one of them: {versions[-1]}.")
    raise FormatError(
        f"{path} has TFRecord files, but no {_DECLARED}, without which their features are unknown. "
        f"Copy {_DECLARED} and {_INFO} from the source of the dataset."
    )
