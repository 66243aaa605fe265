"""The program text of a transform: what is cached of its results is valid only as long as that stays."""

import inspect
import sys
import uuid

from robomix.mixture.transforms.base import DatasetTransformStep

_PACKAGE = __name__.rpartition(".")[0]
_USED = ("robomix.entries", "robomix.rotations")
"""Modules beside this package that its steps are written with."""


def program_text(step: DatasetTransformStep) -> str:
    """Of the modules that the step and the classes it is made of are written in; of a built-in one, all of them."""
    own = dict.fromkeys(cls.__module__ for cls in type(step).__mro__ if cls not in (DatasetTransformStep, object))
    if any(name.startswith(f"{_PACKAGE}.") for name in own):
        own |= dict.fromkeys(sorted(name for name in sys.modules if name.startswith(f"{_PACKAGE}.")))
        own |= dict.fromkeys(_USED)
    try:
        return "".join(inspect.getsource(sys.modules[name]) for name in own)
    except (OSError, TypeError):  # typed into an interactive session: without a text nothing can be looked up again
        return uuid.uuid4().hex
