"""Writing by a Ray cluster, or by a Ray of this machine alone. Its machines must see the same files."""

import importlib.util
import logging
import pickle
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from robomix.errors import ConfigError, FormatError
from robomix.tools.build.engines.base import Writer

_AHEAD = 2
"""Tasks that are handed over for each worker: one at work, and one that waits."""
_FOUND_BY_RAY = ("auto", "local")
"""Addresses that are none of a machine."""
_LAST_PORT = 65535
_PATIENCE_S = 5.0
"""How long a machine may take to accept a connection."""


@dataclass(frozen=True)
class Cluster:
    """The cluster at `address`, in Ray's words (`auto`, `ray://HOST:10001`, `HOST:6379`); None: this machine."""

    address: str | None = None
    workers: int = 1
    """Files that are written at the same time."""

    def map(self, writer: Writer, files: Sequence[Any]) -> Iterator[Any]:
        """See `Engine`."""
        if importlib.util.find_spec("ray") is None:
            raise ConfigError("--engine=ray needs Ray, which is not installed: pip install 'robomix[ray]'.")
        import ray

        is_ours = not ray.is_initialized()
        if is_ours:
            self._connect()
        write = ray.remote(num_cpus=1, max_retries=0)(_write)
        shared = ray.put(writer)
        remaining, at_work = iter(files), deque[Any]()
        try:
            at_work.extend(write.remote(shared, file) for file in islice(remaining, _AHEAD * max(1, self.workers)))
            while at_work:
                result = _result(at_work[0])
                at_work.popleft()
                at_work.extend(write.remote(shared, file) for file in islice(remaining, 1))
                yield result
        finally:
            for task in at_work:
                ray.cancel(task, force=True)
            if is_ours:
                ray.shutdown()

    def _connect(self) -> None:
        import ray

        if self.address is not None:
            _expect_answer(self.address)
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self.address is None:
            options |= {"num_cpus": max(1, self.workers), "include_dashboard": False}
        try:
            ray.init(address=self.address or "local", **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(f"--address={self.address}: no Ray cluster answers there: {error}") from error


def _expect_answer(address: str) -> None:
    """Raises ConfigError where nothing listens at `address`: Ray itself would go on trying for minutes."""
    if address in _FOUND_BY_RAY:
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise ConfigError(f"--address={address}, expected auto, HOST:PORT (6379) or ray://HOST:PORT (10001).")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_S).close()
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"--address={address}: nothing answers there ({error}). Is the cluster running, and may this machine "
            "connect to that port? `ray status` on its head node tells."
        ) from error


def _write(writer: Writer, file: Any) -> bytes:
    return pickle.dumps(writer.write(file))  # as it is, Ray would give arrays that end with its shared memory


def _result(task: Any) -> Any:
    """What a task has come to. Raises what it raised, and FormatError where its process has died."""
    import ray

    try:
        return pickle.loads(ray.get(task))
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise FormatError(f"a process of the Ray cluster has died, so nothing was published: {error}") from error
