"""robomimic's HDF5 files: demonstrations `data/demo_N` with observations, actions, rewards.

The layout is that of robomimic's documentation, `docs/datasets/overview.md`: arrays `actions`, `rewards`, `dones`,
`states` and the group `obs` in each demonstration, attributes `num_samples` there, `total` and `env_args` (JSON) on
`data`, and lists of demonstrations in `mask`. What its arrays are called here is in `names`.
`next_obs` is not read: it is `obs` one frame later.
"""

from functools import partial
from pathlib import Path
from typing import Self

from robomix.errors import FormatError
from robomix.files import Listing
from robomix.formats.cached import CachedDataset, Camera
from robomix.formats.columns import Builder, build, entry_folder, lookup
from robomix.formats.hdf5 import SIGNATURE
from robomix.formats.hdf5_cameras import Hdf5Camera
from robomix.formats.hdf5_episodes import fill_columns
from robomix.formats.hdf5_handles import handles
from robomix.formats.rate import as_rate
from robomix.formats.robomimic.content import read_content
from robomix.formats.robomimic.layout import robot_of, task_of

READER = "robomimic-1"
"""Version of what is put into the cache; a new one makes every file be read again."""
_SUFFIXES = (".hdf5", ".h5", ".hdf")


def is_robomimic(path: Path) -> bool:
    """Whether the path is an HDF5 file, or a folder with exactly one, whatever its health."""
    return hdf5_file(path) is not None


def hdf5_file(path: Path) -> Path | None:
    """The HDF5 file that `path` is, or the only one in that folder."""
    if path.is_dir():
        files = [entry for entry in path.iterdir() if entry.suffix in _SUFFIXES and entry.is_file()]
        return files[0] if len(files) == 1 else None
    if not path.is_file() or path.suffix in _SUFFIXES:
        return path if path.is_file() else None
    with open(path, "rb") as file:
        return path if file.read(len(SIGNATURE)) == SIGNATURE else None


class RobomimicDataset(CachedDataset):
    """Pictures are read where they lie, numbers from the cache. `fps` is needed where `env_args` says no rate."""

    @classmethod
    def opened(cls, path: Path, fps: float | None = None) -> Self:
        file = _file(path)
        stat = file.stat()
        listing = Listing(file.parent, {file.name: (stat.st_size, stat.st_mtime_ns)})
        folder = entry_folder(file, listing.key(READER))
        return cls(path, lookup(folder) or build(folder, partial(_fill_cache, file)), fps)

    def camera(self, key: str) -> Camera:
        file, name = _file(self.path), self._entry.meta["names"][key]
        ids = self.episodes.ids

        def place(ordinal: int) -> tuple[Path, str]:
            return file, f"data/demo_{ids[ordinal]}/{name}"

        return Hdf5Camera(key, self.features[key].shape, self.episodes, place, encoded=False)


def _file(path: Path) -> Path:
    file = hdf5_file(path)
    if file is None:
        raise FormatError(f"{path} is not an HDF5 file, nor a folder with one. Open the dataset again.")
    return file.resolve()


def _fill_cache(path: Path, cache: Builder) -> None:
    content = read_content(path)
    kwargs = content.env_args.get("env_kwargs") if content.env_args else None
    rate = kwargs.get("control_freq") if isinstance(kwargs, dict) else None
    fps = None if rate is None else as_rate(rate, f"{path}: control_freq in env_args")
    fill_columns(cache, content.survey, content.demonstrations, {
        "format": "robomimic HDF5",
        "fps": fps and [fps.numerator, fps.denominator],
        "robot_type": robot_of(kwargs),
        "tasks": [task_of(content.env_args, path)],
        "subsets": content.subsets,
        "env_args": content.env_args,
    })  # fmt: skip
    cache.meta["warnings"] += content.left_out
    handles.close()  # who only wants numbers holds no file open
