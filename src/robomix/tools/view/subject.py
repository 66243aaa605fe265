"""What is viewed: the mixture of a file, or a single dataset as a mixture of its own."""

from pathlib import Path

from robomix.config import MixtureConfig
from robomix.errors import ConfigError
from robomix.formats.detect import FORMATS
from robomix.mixture.dataset import Mixture
from robomix.mixture.factory import make_mixture
from robomix.mixture.resolve import make_schedule
from robomix.mixture.schedule import Schedule
from robomix.remote.urls import as_url
from robomix.tools.training_file import TrainingFile

_BATCH_SIZE = 8


def opened(path: Path, fps: float | None = None) -> tuple[Mixture, Schedule]:
    """The mixture at `path`, without the windows of a policy, and the order in which a training draws from it.

    `fps` is for a dataset whose files do not say. Raises ConfigError, FormatError or AlignmentError for what is wrong.
    """
    if as_url(path) or is_dataset(path):
        entry = {"root": as_url(path) or str(path)} | ({} if fps is None else {"fps": fps})
        config, seed, batch_size = MixtureConfig.from_dict({"datasets": [entry]}), 0, _BATCH_SIZE
    else:
        file = TrainingFile.read(path)
        if fps is not None:
            raise ConfigError("--fps is for a single dataset; in a mixture file, `fps` of a dataset says it.")
        config, seed, batch_size = file.dataset, file.seed, file.batch_size
    mixture = make_mixture(config, seed=seed)
    return mixture, make_schedule(mixture.sources, config, seed=seed, batch_size=batch_size)


def is_dataset(path: Path) -> bool:
    """Whether a path is a dataset, or a folder, and not a mixture file."""
    return path.is_dir() or any(known.sniff(path) for known in FORMATS)
