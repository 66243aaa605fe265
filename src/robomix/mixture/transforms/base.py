"""What a transform is, under which name mixture files find it, and how it is built from them."""

import importlib
import inspect
import keyword
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from robomix.errors import AlignmentError, ConfigError, RobomixError, did_you_mean
from robomix.features import Feature
from robomix.mixture.transforms.windows import Window, Windows

Sample = dict[str, Any]
_registry: dict[str, type["DatasetTransformStep"]] = {}


class SampleError(AlignmentError):
    """What a step cannot do with one value of a batch. The source that runs the step adds which frame it is."""

    def __init__(self, text: str, key: str, sample: int, step: int = 0) -> None:
        """`sample` is the place in the batch, `step` the place in the window of `key`."""
        super().__init__(text)
        self.key = key
        self.sample = sample
        self.step = step


class DatasetTransformStep:
    """Base of all transforms. Only `__call__` must be written; the rest says more about the step where it matters."""

    batched: ClassVar[bool] = False
    """Whether `__call__` takes tensors with a leading batch axis; otherwise it gets one sample at a time."""

    def __call__(self, sample: Sample) -> Sample:
        """The sample after this step; it may be changed in place or be a new dict."""
        raise ConfigError(f"the dataset transform {type(self).__name__} defines no `__call__`")

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature] | None:
        """The features after this step, given those before; None: found out by trying the step on one sample.

        Called once, before the step is run: the place to look up entries by name. Raises AlignmentError for features
        the step cannot work on.
        """
        return None

    def needs(self, keys: frozenset[str]) -> frozenset[str] | None:
        """Which features the step must be given so that those in `keys` come out right; None: all there are."""
        return None

    def windows(self, after: Windows) -> Mapping[str, Window] | None:
        """Which windows of which features the step must be given so that those of `after` come out; None: all features.

        For steps that make a feature with a window from others, or need other frames than it has. By default the
        features of `needs`, each with its own window.
        """
        needed = self.needs(frozenset(after))
        return None if needed is None else {key: after.get(key) for key in needed}

    def in_windows(self, sample: Sample, before: Windows, after: Windows) -> Sample:
        """`__call__` for steps with `windows` of their own, which also declare their `features`.

        `sample` has the windows `before`, as `windows` asked for them; the result is to have those of `after`.
        """
        return self(sample)

    def relative(self, keys: frozenset[str]) -> frozenset[str]:
        """Features whose value at a frame depends on the sample it is in, after the step, given those before it.

        An action relative to the state at the chunk's start is such a one. Their statistics are taken over the windows
        samples hold, those of all others over single frames.
        """
        return keys

    def inverse(self) -> "DatasetTransformStep | None":
        """The step that undoes this one, for the actions a policy puts out; None for a step that leaves actions alone.

        Its `__call__` is given the actions, and the observations as this step was given them; features it does not
        know it leaves as they are. Raises ConfigError where nothing undoes the step.
        """
        raise ConfigError(
            f"transform {type(self).__name__} says nothing of its inverse. Give it a method `inverse` that returns the "
            "step which undoes it in actions, or None if it leaves actions as they are."
        )


def register_dataset_transform(name: str) -> Callable[[type], type]:
    """Class decorator: makes a step usable in mixture files under `name`. Raises ConfigError if the name is taken."""

    def register(step: type) -> type:
        if not issubclass(step, DatasetTransformStep):
            raise ConfigError(f"the dataset transform {name!r} ({step.__name__}) must derive from DatasetTransformStep")
        taken = _registry.get(name)
        if taken is not None and (taken.__module__, taken.__qualname__) != (step.__module__, step.__qualname__):
            raise ConfigError(f"a dataset transform named {name!r} exists already: {taken.__module__}.{taken.__name__}")
        _registry[name] = step
        return step

    return register


def build_transform(type_name: str, kwargs: Mapping[str, Any], where: str) -> DatasetTransformStep:
    """The step `type_name` built with `kwargs`. Raises ConfigError, speaking of `where`, for what does not fit.

    An argument whose name is a word of Python, such as `from`, is handed over with an underscore: `from_`.
    """
    module, _, name = type_name.rpartition(":")
    if module:
        _import(module, where)
    step = _registry.get(name)
    if step is None:
        known = ", ".join(sorted(_registry))
        raise ConfigError(
            f"{where}: no transform is named {name!r}.{did_you_mean(name, _registry)} Known: {known}. "
            "One of your own is named 'your.module:its_name', and registered with @register_dataset_transform."
        )
    arguments = {f"{key}_" if keyword.iskeyword(key) else key: value for key, value in kwargs.items()}
    signature = inspect.signature(step)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        text = f"{where}: transform {name!r} takes {signature}, but {error}"
        raise ConfigError(_without_underscores(text)) from None
    try:
        return step(**arguments)
    except (ConfigError, AlignmentError) as error:
        raise ConfigError(f"{where} ({name}): {error}") from None
    except Exception as error:  # the step is the user's: whatever it raises is theirs to see
        raise ConfigError(f"{where} ({name}): building it raised {type(error).__name__}: {error}") from error


def _without_underscores(text: str) -> str:
    return re.sub(rf"\b({'|'.join(keyword.kwlist)})_\b", r"\1", text)


def _import(module: str, where: str) -> None:
    try:
        importlib.import_module(module)
    except RobomixError:
        raise
    except Exception as error:  # the module is the user's: whatever it raises is theirs to see
        raise ConfigError(f"{where}: importing {module!r} failed with {type(error).__name__}: {error}") from error
