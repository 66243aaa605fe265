"""Stopping a training gracefully: the first SIGINT or SIGTERM asks, the second insists."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether a signal has asked the training to stop, and which."""

    received: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.received is not None

    @property
    def name(self) -> str:
        return self.received.name if self.received is not None else "nothing"

    @property
    def exit_code(self) -> int:
        """128 plus the number of the signal, as shells report it; 0 without one."""
        return 128 + self.received if self.received is not None else 0


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """While inside, the first signal only sets the request; a second one interrupts at once."""
    request = StopRequest()

    def handle(number: int, _: FrameType | None) -> None:
        if request:
            raise KeyboardInterrupt
        request.received = signal.Signals(number)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_held() -> Iterator[None]:
    """In processes that are started inside, signals wait from the first moment, until `ignore_signals` drops them.

    A terminal's Ctrl-C reaches workers too, and would end one that has not yet come to ignore it. Here none is lost.
    """
    resource_tracker.ensure_running()  # multiprocessing starts it with the first worker, and lets the signals loose
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_signals(_: int) -> None:
    """`worker_init_fn`: a terminal's Ctrl-C reaches the workers too; they must live until the checkpoint is written."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
