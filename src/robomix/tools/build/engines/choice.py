"""The engine that a command line asks for."""

import os
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


def at_a_time(name: Name, workers: int) -> int:
    """How many files so many workers write at a time, for how long it takes: this machine's share its CPUs."""
    return max(1, workers if name == "ray" else min(workers, len(os.sched_getaffinity(0))))
