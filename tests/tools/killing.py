"""Runs commands of robomix and stops them at a moment that is asked for, without waiting for imports each time.

A server process has everything imported that a command has imported before; each command runs in a process that is
forked from it, in a session of its own, so that whatever it leaves running can be found.
"""

import importlib
import json
import os
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

PATIENCE = 120
"""Seconds after which a command hangs."""
HUNG = 1000


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Its exit code; -n where signal n ended it, HUNG where it did not end."""
    seconds: float
    output: str
    left: tuple[int, ...]
    """Processes of it that still ran seconds later."""


class Commands:
    """Runs commands, one at a time."""

    def __init__(self, scratch: Path) -> None:
        self._output = scratch / "output.txt"
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.tools.killing"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *argv: object, stop: signal.Signals | None = None, after: float = 0) -> Ended:
        """`robomix ARGV`, which gets the signal `stop` so many seconds `after` its start."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        order = {"argv": [str(word) for word in argv], "signal": stop, "after": after, "output": str(self._output)}
        print(json.dumps(order), file=self._server.stdin, flush=True)
        answer = json.loads(self._server.stdout.readline())
        return Ended(answer["code"], answer["seconds"], self._output.read_text(), tuple(answer["left"]))

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
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            _command(order)
        code = _wait(child, order, start)
        seconds = time.monotonic() - start
        if code == 0:
            _import_as(Path(f"{order['output']}.modules"))
        print(json.dumps({"code": code, "seconds": seconds, "left": _left(child)}), flush=True)


def _import_as(listing: Path) -> None:
    for name in listing.read_text().splitlines():
        if name not in sys.modules:
            with suppress(Exception):
                importlib.import_module(name)


def _command(order: dict[str, Any]) -> None:
    from robomix.cli.main import main

    os.setsid()
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    empty = os.open(os.devnull, os.O_RDONLY)
    for number, opened in enumerate((empty, output, output)):
        os.dup2(opened, number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 1
    try:
        code = main(order["argv"])
        Path(f"{order['output']}.modules").write_text("\n".join(sys.modules))
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    except KeyboardInterrupt:
        code = 130  # what a shell sees of a Python that ends with it
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, order: dict[str, Any], start: float) -> int:
    while order["signal"] is not None and time.monotonic() - start < order["after"]:
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
