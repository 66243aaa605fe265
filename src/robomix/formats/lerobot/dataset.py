"""A LeRobot dataset of any readable version, opened through the column cache."""

from functools import partial
from pathlib import Path
from typing import Self

from robomix.files import scan
from robomix.formats.cached import CachedDataset, Camera
from robomix.formats.columns import build, entry_folder, lookup
from robomix.formats.lerobot.build import fill_cache
from robomix.formats.lerobot.cameras import VideoCamera
from robomix.formats.lerobot.info import read_info
from robomix.formats.pictures import PictureCamera

READER = "lerobot-1"
"""Version of what `build` puts into the cache; a new one makes every dataset be read again."""


def is_lerobot(path: Path) -> bool:
    """Whether the folder looks like a LeRobot dataset, of whatever version and health."""
    return (path / "meta" / "info.json").exists()


class LeRobotDataset(CachedDataset):
    """Videos are read where they lie; pictures stored in tables are copied into the cache."""

    @classmethod
    def opened(cls, path: Path, fps: float | None = None) -> Self:
        root = path.resolve()
        info = read_info(root)
        listing = scan(root, info.folders())
        folder = entry_folder(root, listing.key(READER))
        return cls(path, lookup(folder) or build(folder, partial(fill_cache, info, listing)), fps)

    def camera(self, key: str) -> Camera:
        if self.features[key].storage == "video":
            return VideoCamera(key, self.path, self.episodes, self._entry)
        return PictureCamera(key, self.path, self._entry)
