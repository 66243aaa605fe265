"""A training that insists on what is locked (`--locked`), or only writes down what it would be made of (`--lock`)."""

import logging
from pathlib import Path
from typing import Any

from robomix.errors import ConfigError
from robomix.mixture.lock import NAME, read_lock, write_lock
from robomix.mixture.lock_changes import check_lock
from robomix.training.config import TrainConfig

log = logging.getLogger(__name__)


def check_locked(config: TrainConfig, lock: dict[str, Any]) -> None:
    """Under `--locked`, raises ConfigError where the training's `lock`, as far as it is known, is another."""
    for name, given in (("lock", config.lock), ("locked", config.locked)):
        if given == "":  # a variable of a script that is not set must not train unlocked
            raise ConfigError(f"--{name}= names no file. Give one, or leave out the = for {NAME} beside the file.")
    if config.lock and config.locked:
        raise ConfigError("--lock writes a lock, and --locked insists on one. Leave out either.")
    if config.locked:
        path = _path(config, config.locked)
        check_lock(path, read_lock(path), lock)


def write_asked(config: TrainConfig, lock: dict[str, Any]) -> None:
    """What `--lock` is for. Raises RobomixError where it cannot be written."""
    path = _path(config, config.lock)
    write_lock(path, lock)
    log.info("%s is written; the same command with --locked in place of --lock trains on nothing else", path)


def _path(config: TrainConfig, given: bool | str) -> Path:
    """The file that was named, else the one beside the mixture file; without such a file, in the working folder."""
    if isinstance(given, str):
        return Path(given).expanduser()
    return (Path() if config.config_path is None else config.config_path.parent) / NAME
