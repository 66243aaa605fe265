"""Small, deterministic replay buffers as Diffusion Policy keeps them, written with plain zarr.

`write_zarr` returns a `Written`: what a correct reader must give back. Nothing here uses robomix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numcodecs
import numpy as np
import zarr
from zarr.storage import ZipStore

from tests.pictures import pictures


@dataclass(frozen=True)
class Written:
    """What a recording holds, by the keys robomix gives."""

    path: Path
    lengths: tuple[int, ...]
    columns: dict[str, np.ndarray]
    frames: dict[str, np.ndarray]
    """Camera key to (N, 3, H, W) uint8."""
    row_tasks: tuple[str, ...]

    @property
    def num_frames(self) -> int:
        return sum(self.lengths)


def write_zarr(
    path: Path,
    *,
    version: Literal[2, 3] = 2,
    lengths: Sequence[int] = (5, 7, 4),
    size: tuple[int, int] = (16, 24),
    pictures_as: str = "uint8",
    unit: bool = False,
    channels_first: bool = False,
    chunk_rows: int = 3,
    shard_rows: int | None = None,
    extra: dict[str, np.ndarray] | None = None,
) -> Written:
    """A store at `path`, a zip file if its name ends so.

    Pictures are of the type `pictures_as`, 0 to 255, or with `unit` 0 to 1; `extra` are more arrays below `data`.
    """
    n = sum(lengths)
    rng = np.random.default_rng(0)
    frames = pictures(range(n), 0, *size)
    columns = {
        "action": rng.normal(size=(n, 2)).astype(np.float32),
        "observation.state": rng.normal(size=(n, 5)),
        "observation.keypoint": rng.normal(size=(n, 9, 2)).astype(np.float16),
        "observation.n_contacts": rng.integers(0, 9, (n, 1)),
        "action.abs": rng.normal(size=(n, 2)).astype(np.float32),
        "next.done": np.arange(n) % 5 == 4,
    }
    names = ["action", "state", "keypoint", "n_contacts", "action_abs", "done"]
    image = frames if channels_first else frames.transpose(0, 2, 3, 1)
    image = (image / np.float64(255) if unit else image).astype(pictures_as)
    arrays = {f"data/{name}": values for name, values in zip(names, columns.values(), strict=True)}
    arrays |= {"data/img": image, "meta/episode_ends": np.cumsum(lengths)}
    arrays |= {f"data/{name}": values for name, values in (extra or {}).items()}
    store: Any = ZipStore(path, mode="w") if path.suffix == ".zip" else path
    root = zarr.open_group(store, mode="w", zarr_format=version)
    codec: Any = numcodecs.Blosc("lz4", 5) if version == 2 else zarr.codecs.ZstdCodec()
    for name, values in arrays.items():
        rows = {"chunks": (chunk_rows, *values.shape[1:])}
        if shard_rows:
            rows["shards"] = (shard_rows, *values.shape[1:])
        made = root.create_array(
            name, shape=values.shape, dtype=values.dtype, compressors=codec, config={"write_empty_chunks": True}, **rows
        )
        made[...] = values
    if path.suffix == ".zip":
        store.close()
    task = path.name.removesuffix(".zip").removesuffix(".zarr")
    return Written(path, tuple(lengths), columns, {"observation.images.img": frames}, (task,) * n)
