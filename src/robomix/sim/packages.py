"""Packages of simulators, imported by name when an environment asks for them."""

import importlib
from types import ModuleType

from robomix.errors import ConfigError


def import_package(name: str, *, needed_by: str, advice: str) -> ModuleType:
    """The module `name`. Raises ConfigError for whatever its import ends in; the text closes with `advice`."""
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a package that does not suit the machine gives up in its own way
        raise ConfigError(
            f"{needed_by} needs the package {name!r}, which cannot be imported: {type(error).__name__}: {error}. "
            f"{advice}"
        ) from error
