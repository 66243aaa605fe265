"""A LeRobot dataset of any readable version, opened through the column cache."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from robomix.errors import FormatError
from robomix.files import scan
from robomix.formats.cached import CachedDataset, Camera
from robomix.formats.columns import Entry, build, entry_folder, lookup
from robomix.formats.lerobot.build import fill_cache
from robomix.formats.lerobot.cameras import VideoCamera
from robomix.formats.lerobot.info import read_info
from robomix.formats.lerobot.part import WHOLE, Part, of_part
from robomix.formats.pictures import PictureCamera
from robomix.remote.places import url_of
from robomix.video.gpu import require_gpu
from robomix.video.pool import DecodeDevice

READER = "lerobot-1"
"""Version of what `build` puts into the cache; a new one makes every dataset be read again."""


def is_lerobot(path: Path) -> bool:
    """Whether the folder looks like a LeRobot dataset, of whatever version and health."""
    return (path / "meta" / "info.json").exists()


class LeRobotDataset(CachedDataset):
    """Videos are read where they lie; pictures stored in tables are copied into the cache."""

    def __init__(
        self,
        path: Path,
        entry: Entry,
        fps: float | None = None,
        part: Part = WHOLE,
        decode_device: DecodeDevice = "cpu",
    ) -> None:
        super().__init__(path, entry, fps)
        self.part = part
        """What of the dataset on disk this is."""
        self.decode_device = decode_device
        """What decodes its videos."""
        self._given |= {"part": part, "decode_device": decode_device}

    @classmethod
    def opened(
        cls, path: Path, fps: float | None = None, part: Part = WHOLE, decode_device: DecodeDevice = "cpu"
    ) -> Self:
        """See `CachedDataset`; of a `part`, no other files are looked at.

        Raises ConfigError where `decode_device` is a GPU and none is there that decodes the first frame of each camera.
        """
        root = path.resolve()
        info = read_info(root)
        listing, salts = scan(root, info.folders()), [READER]
        if part != WHOLE:
            listing, salts = of_part(info, listing, part), [READER, part.text]
        folder = entry_folder(root, listing.key(*salts))
        entry = lookup(folder) or build(folder, partial(fill_cache, info, listing, part=part))
        dataset = cls(path, entry, fps, part, decode_device)
        if decode_device != "cpu":
            dataset._try_decoding()
        return dataset

    def _try_decoding(self) -> None:
        cameras = [key for key, feature in self.features.items() if feature.storage == "video"]
        if cameras:
            require_gpu()
        for key in cameras:
            # A file that is missing or damaged is named when it is read, which need not be.
            with suppress(FormatError):
                self.read_frames(key, np.arange(min(1, self.num_frames)))

    @property
    def is_far(self) -> bool:
        return bool(self._once("is far", lambda: url_of(self.path) is not None))

    def fetches(self, key: str, rows: np.ndarray) -> list[Callable[[], int]]:
        if not self.is_far or self.features[key].storage != "video":
            return []
        camera: VideoCamera = self._once(f"camera {key}", lambda: self.camera(key))
        return camera.fetches(np.asarray(rows, np.int64))

    def camera(self, key: str) -> Camera:
        if key in self.part.without:
            raise FormatError(f"{self.path}: the videos of {key!r} were not asked for, as `feature_map` drops it.")
        if self.features[key].storage == "video":
            return VideoCamera(key, self.path, self.episodes, self._entry, self.decode_device)
        return PictureCamera(key, self.path, self._entry)
