"""Train one robot policy on many datasets."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robomix.config import MixtureConfig, SourceConfig, TransformConfig
    from robomix.errors import AlignmentError, ConfigError, FormatError, RobomixError
    from robomix.features import Feature
    from robomix.formats import open_dataset
    from robomix.mixture.dataset import Batch, Mixture, Request, collate
    from robomix.mixture.factory import make_dataset, make_mixture
    from robomix.mixture.live import LiveSource
    from robomix.mixture.loader import make_loader
    from robomix.mixture.resolve import streams
    from robomix.mixture.schedule import Schedule, Stream
    from robomix.mixture.transforms import DatasetTransformStep, register_dataset_transform
    from robomix.statistics.compute import mixture_stats
    from robomix.training.runner import PolicyRunner

_HOME = {
    "robomix.config": ("MixtureConfig", "SourceConfig", "TransformConfig"),
    "robomix.errors": ("AlignmentError", "ConfigError", "FormatError", "RobomixError"),
    "robomix.features": ("Feature",),
    "robomix.formats": ("open_dataset",),
    "robomix.mixture.dataset": ("Batch", "Mixture", "Request", "collate"),
    "robomix.mixture.factory": ("make_dataset", "make_mixture"),
    "robomix.mixture.live": ("LiveSource",),
    "robomix.mixture.loader": ("make_loader",),
    "robomix.mixture.resolve": ("streams",),
    "robomix.mixture.schedule": ("Schedule", "Stream"),
    "robomix.mixture.transforms": ("DatasetTransformStep", "register_dataset_transform"),
    "robomix.statistics.compute": ("mixture_stats",),
    "robomix.training.runner": ("PolicyRunner",),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "AlignmentError",
    "Batch",
    "ConfigError",
    "DatasetTransformStep",
    "Feature",
    "FormatError",
    "LiveSource",
    "Mixture",
    "MixtureConfig",
    "PolicyRunner",
    "Request",
    "RobomixError",
    "Schedule",
    "SourceConfig",
    "Stream",
    "TransformConfig",
    "collate",
    "make_dataset",
    "make_loader",
    "make_mixture",
    "mixture_stats",
    "open_dataset",
    "register_dataset_transform",
    "streams",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when first asked for: `robomix --help` need not wait for torch."""
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE[name]), name)
