"""A dataset that is not LeRobot's: HDF5, zarr, RLDS, a frame store.

There is no reading it but whole, or, of HDF5, its structure.
"""

from functools import cached_property
from pathlib import Path

from robomix.errors import FormatError
from robomix.formats.frame_store import is_frame_store
from robomix.formats.rlds.dataset import is_rlds
from robomix.formats.zarr_buffer import is_zarr_buffer
from robomix.tools.check.finding import UnverifiableError
from robomix.tools.check.raw.hdf5 import Demonstrations, is_hdf5, read_demonstrations
from robomix.tools.check.raw.recording import Recording, recording_of_dataset
from robomix.tools.inspect.describe import Opened, open_for_inspection

_WHY = "H01 or another finding of its family says why"


def is_other(path: Path) -> bool:
    """Whether the path holds a format that is not LeRobot's, by the names of its files."""
    kinds = is_hdf5, is_zarr_buffer, is_rlds, is_frame_store
    try:
        return not (path / "meta/info.json").exists() and any(is_kind(path) for is_kind in kinds)
    except OSError:
        return False


class RawOther:
    """One dataset of another format."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def is_hdf5(self) -> bool:
        return is_hdf5(self.root)

    @cached_property
    def opened(self) -> Opened | str:
        """The dataset as trainings read it; in words why they cannot."""
        try:
            return open_for_inspection(self.root)
        except FormatError as error:
            return str(error)

    @property
    def fps(self) -> float:
        """Frames per second. Raises UnverifiableError where the files say none, or cannot be read."""
        fps = self.recording.fps
        if fps is None:
            raise UnverifiableError(f"{self.root} does not say how many frames per second it has")
        return fps

    @cached_property
    def demonstrations(self) -> Demonstrations:
        """HDF5: what lies in the file, however damaged. Raises UnverifiableError."""
        return read_demonstrations(self.root)

    @cached_property
    def recording(self) -> Recording:
        """The numbers of all episodes. Raises UnverifiableError where the dataset cannot be read."""
        if isinstance(self.opened, str):
            raise UnverifiableError(f"{self.root} cannot be read; {_WHY}")
        return recording_of_dataset(self.opened.dataset, fps_is_known=self.opened.fps_is_known)
