"""Runs commands of robomix and disturbs them at a moment that is asked for, without waiting for imports each time.

A server process has everything imported that a command has imported before; each command runs in a process that is
forked from it, in a session of its own, so that whatever it leaves running can be found.
"""

import fcntl
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import PROJECT
from tests.tools.moments import Moments

PATIENCE = 120
"""Seconds after which a command hangs."""
STOPS = (signal.SIGINT, signal.SIGTERM)
HUNG = 1000


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Its exit code; -n where signal n ended it, HUNG where it did not end."""
    seconds: float
    output: str
    changes: int
    """What it has changed in the folder that was looked at, if it was not killed."""
    left: tuple[int, ...]
    """Processes of it that still ran seconds later."""


class Commands:
    """Runs commands, one at a time."""

    def __init__(self, scratch: Path) -> None:
        self._results = scratch / "results"
        self.temporary = scratch / "temporary"
        """Where the commands have their temporary files, unless they are beside their output."""
        self.temporary.mkdir()
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.tools.killing"],
            cwd=PROJECT,
            env=os.environ | {"TMPDIR": str(self.temporary)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        *argv: object,
        stop: signal.Signals | None = None,
        after: float = 0,
        once: str | None = None,
        within: Path | None = None,
        at: int | None = None,
        deed: str = "send",
        argument: object = None,
    ) -> Ended:
        """`robomix ARGV`, disturbed at a moment.

        Args:
            argv: the command.
            stop: the signal that it gets.
            after: so many seconds after its start.
            once: and not before there is a file whose name below `within` fits this pattern.
            within: the folder whose changes are counted.
            at: the change, from 1, at which the deed is done; 0: at the start.
            deed: what is done, see `moments`.
            argument: what it is done with.
        """
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        order = {
            "argv": [str(word) for word in argv],
            "signal": stop,
            "after": after,
            "once": once,
            "results": str(self._results),
        }
        order["moments"] = [str(within), at, deed, argument]
        print(json.dumps(order), file=self._server.stdin, flush=True)
        answer = json.loads(self._server.stdout.readline())
        return Ended(answer["code"], answer["seconds"], answer["output"], answer["changes"], tuple(answer["left"]))

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(60)


def serve() -> None:
    from robomix.cli.main import VERBS

    warnings.simplefilter("ignore", DeprecationWarning)  # that threads of libraries are not forked: none is at work
    for module, _ in VERBS.values():
        importlib.import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        results = Path(order["results"])
        results.write_text("{}")
        output = _pipe()
        start = time.monotonic()
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # libraries run code of theirs after a fork; one waits for it
        child = os.fork()
        if child == 0:
            _command(order, output[1])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        os.close(output[1])
        code = _wait(child, order, start)
        seconds = time.monotonic() - start
        told = json.loads(results.read_text())
        _import_as(told.get("modules", []))
        answer = {"code": code, "seconds": seconds, "changes": told.get("changes", 0), "left": _left(child)}
        with open(output[0], errors="replace") as spoken:
            print(json.dumps(answer | {"output": spoken.read()}), flush=True)


def _pipe() -> tuple[int, int]:
    """A pipe with room for all that a command says; a file would be subject to the limits that it is given."""
    ends = os.pipe()
    fcntl.fcntl(ends[0], fcntl.F_SETPIPE_SZ, 1 << 20)
    return ends


def _import_as(names: list[str]) -> None:
    for name in names:
        if name not in sys.modules:
            with suppress(Exception):
                importlib.import_module(name)


def _command(order: dict[str, Any], output: int) -> None:
    from robomix.cli.main import main

    code, moments, limits = 1, None, resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        empty = os.open(os.devnull, os.O_RDONLY)
        for number, opened in enumerate((empty, output, output)):
            os.dup2(opened, number)
        moments = Moments(*order["moments"])
        code = main(order["argv"])
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    except KeyboardInterrupt:
        code = 130  # what a shell sees of a Python that ends with it
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        told = {"modules": [*sys.modules], "changes": moments.count if moments is not None else 0}
        aside = Path(order["results"] + ".new")
        aside.write_text(json.dumps(told))
        aside.replace(order["results"])  # it may be killed at any moment
        os._exit(code)


def _is_due(order: dict[str, Any], start: float) -> bool:
    """Whether the moment has come to send the signal."""
    if order["once"] is not None and not any(Path(order["moments"][0]).glob(order["once"])):
        return False
    return time.monotonic() - start >= order["after"]


def _wait(child: int, order: dict[str, Any], start: float) -> int:
    while order["signal"] is not None and not _is_due(order, start):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0005)
    if order["signal"] is not None:
        os.kill(child, order["signal"])
    while time.monotonic() - start < PATIENCE:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return HUNG


def _left(session: int) -> list[int]:
    """Processes of the session; they have some seconds to notice that their parent is gone."""
    for _ in range(100):
        found = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _session(pid) == session]
        if not found:
            break
        time.sleep(0.05)
    return found


def _session(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, _, _, session = text.rpartition(")")[2].split()[:4]
    return None if state == "Z" else int(session)


if __name__ == "__main__":
    serve()
