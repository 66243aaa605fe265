"""Writing by processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from robomix.errors import FormatError
from robomix.tools.build.engines.base import Writer


@dataclass(frozen=True)
class Processes:
    """So many processes, started when there is something for them to do; one is this process itself."""

    workers: int = 1

    def map(self, writer: Writer, files: Sequence[Any]) -> Iterator[Any]:
        """See `Engine`."""
        count = min(self.workers, len(files))
        if count <= 1:
            for file in files:
                yield writer.write(file)
            return
        context = multiprocessing.get_context("spawn")
        theirs, ours = context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(count, context, _arrive, (writer, theirs))
        with pool, closing(theirs), closing(ours):
            # `ours` is closed before the pool is left: at once, too, where this is stopped by an error or Ctrl-C.
            try:
                yield from pool.map(_write, files)
            except BrokenProcessPool as error:
                raise FormatError(
                    "a process that wrote files has died, so nothing was published. Was it killed, or is the memory "
                    "too small for so many? Use fewer --workers."
                ) from error


_writer: Writer


def _arrive(writer: Writer, line: Connection) -> None:
    global _writer
    _writer = writer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process is told too, and ends this one
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()


def _end_with(line: Connection) -> None:
    """Ends this process when nobody holds the other end of `line` any more: the main process has stopped, or died."""
    line.poll(None)
    os._exit(1)


def _write(file: Any) -> Any:
    return _writer.write(file)
