"""Writing robomimic's HDF5 files, a demonstration at a time.

    with RobomimicWriter("lift.hdf5", env_args={...}, features={"action": ..., "observation.object": ...}) as writer:
        writer.add_episode({"action": actions, "observation.object": objects}, masks=["train"])

The layout is that of robomimic's documentation, `docs/datasets/overview.md`: `data/demo_0`, `demo_1`, ... with
`num_samples`, `total` and `env_args` on `data`, `mask/*`. Arrays are called as `names` says; pictures are kept as
(T, height, width, 3) in chunks of one frame, so that a training that draws frames at random decompresses no others.
`next_obs` is not written: robomimic's behaviour cloning does not read it.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from robomix.errors import ConfigError
from robomix.features import Feature
from robomix.formats.episode_writer import EpisodeWriter
from robomix.formats.hdf5_output import new_file
from robomix.formats.publish import staged_file
from robomix.formats.robomimic.names import array_of
from robomix.formats.robomimic.write_checks import (
    check_masks,
    check_storable,
    check_target,
    env_args_text,
    verify,
)
from robomix.formats.write_input import EpisodeInput

Compression = Literal["gzip", "lzf"]


class RobomimicWriter(EpisodeWriter):
    """A robomimic HDF5 file being written to `path`; use it in a `with` block.

    `env_args` is what robomimic makes the environment of: `env_name`, which is also the task's text, `type` and
    `env_kwargs`, where `control_freq` is the rate in frames per second and `robots` a list of names. `features` gives
    the arrays: `action`, at least one `observation.<name>` or camera `observation.images.<name>` of shape (3, H, W),
    and what else there is; names of a vector's entries have no place in the format. robomimic reads `next.reward` and
    `next.done` too, unless its config says `train.dataset_keys: ["actions"]`. Pictures are compressed without loss.

    Raises ConfigError, before anything is written, for what cannot be stored and for a `path` that exists; with
    `overwrite` an existing HDF5 file is replaced, at the end and in one step.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        env_args: Mapping[str, Any],
        features: Mapping[str, Feature],
        compression: Compression | None = "gzip",
        overwrite: bool = False,
    ) -> None:
        super().__init__(path, features)
        check_storable(self.features)
        if compression not in ("gzip", "lzf", None):
            raise ConfigError(f"compression is {compression!r}: expected 'gzip', 'lzf' or None.")
        self._env_args = env_args_text(env_args)
        self._check_target = partial(check_target, overwrite=overwrite)
        self._check_target(self.path)
        self._compression = compression
        self._masks: dict[str, list[int]] = {}

    def add_episode(
        self, columns: Mapping[str, np.ndarray | Iterable[np.ndarray]], *, masks: Collection[str] = ()
    ) -> int:
        """Append a demonstration of T frames, which belongs to the filter keys `masks`; the number N of its demo_N.

        `columns` has one entry per feature: (T, *shape) in the feature's dtype for numbers; for cameras (T, 3, H, W)
        uint8, or any iterable of T frames (3, H, W), read one frame of each camera at a time.

        Raises ConfigError, naming key, frame, found and expected, for input that does not fit. If that happens before
        any camera stream was read, the writer can go on with the next demonstration.
        """
        check_masks(masks)
        number = len(self.lengths)
        with self._episode(columns, "") as checked:
            self._write(number, checked)
        for name in masks:
            self._masks.setdefault(name, []).append(number)
        return number

    def _begin(self, stack: ExitStack) -> None:
        self._staging = stack.enter_context(staged_file(self.path, self._check_target))
        self._file, self._output = stack.enter_context(new_file(self._staging, self.path))
        self._data = self._file.create_group("data")

    def _write(self, number: int, checked: EpisodeInput) -> None:
        demo = self._data.create_group(f"demo_{number}")
        demo.attrs["num_samples"] = checked.length
        demo.create_group("obs")
        for key, values in checked.numeric.items():
            demo.create_dataset(array_of(key, False), data=values)
        arrays = [self._picture_array(demo, key, checked.length) for key in checked.cameras]
        for i, frames in enumerate(zip(*checked.cameras.values(), strict=True)):
            for array, frame in zip(arrays, frames, strict=True):
                array[i] = frame.transpose(1, 2, 0)
            self._output.check()
        self._output.check()

    def _picture_array(self, demo: h5py.Group, key: str, length: int) -> h5py.Dataset:
        _, height, width = self.features[key].shape
        shape = (length, height, width, 3)
        return demo.create_dataset(
            array_of(key, True), shape, np.uint8, chunks=(1, *shape[1:]), compression=self._compression
        )

    def _finish(self) -> None:
        """Complete the file and look through it as a reader would."""
        self._data.attrs["total"] = self.num_frames
        self._data.attrs["env_args"] = self._env_args
        for name, numbers in self._masks.items():
            self._file[f"mask/{name}"] = np.array([f"demo_{number}" for number in numbers], dtype="S")
        self._file.close()
        self._output.check()
        verify(self._staging, self.features, self.lengths, self._masks)
