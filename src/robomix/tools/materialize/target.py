"""Where a source may be materialized: on what an earlier run has left, and on nothing else."""

import os
from pathlib import Path

from robomix.errors import ConfigError
from robomix.mixture.materialized import RECORD

_OF_A_SOURCE = ("meta", "data", "videos", "cameras", "columns")
"""What lies in the folder of a source that was materialized, as video or as frames."""


def check_target(target: Path, *, overwrite: bool) -> None:
    """Raises ConfigError where a source may not be written to `target`: only what was materialized is replaced."""
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise ConfigError(
            f"{target} holds something else than what is asked for. Choose another --out, or use --force."
        )
    if not (target / RECORD).is_file() or target.is_symlink():
        raise ConfigError(
            f"{target} was not written by `robomix materialize`, so --force leaves it. Choose another --out."
        )
    if others := sorted(entry.name for entry in target.iterdir() if entry.name not in _OF_A_SOURCE):
        raise ConfigError(
            f"{target} holds {', '.join(others[:8])}, which `robomix materialize` has not written and which would be "
            "lost. Move it away, or choose another --out."
        )
