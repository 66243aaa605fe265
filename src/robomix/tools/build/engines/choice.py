"""The engine that a command line asks for."""

from typing import Literal

from robomix.errors import ConfigError
from robomix.tools.build.engines.base import Engine
from robomix.tools.build.engines.cluster import Cluster
from robomix.tools.build.engines.processes import Processes

Name = Literal["processes", "ray"]


def engine_of(name: Name, workers: int, address: str | None = None) -> Engine:
    """The engine `name` with so many workers, of the cluster at `address`. Raises ConfigError for what does not fit."""
    if workers < 1:
        raise ConfigError(f"--workers={workers}, expected 1 or more.")
    if name == "ray":
        return Cluster(address, workers)
    if address is not None:
        raise ConfigError(f"--address={address} is that of a Ray cluster: use it with --engine=ray, or leave it out.")
    return Processes(workers)
