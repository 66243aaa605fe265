"""Reading ahead: the schedule is known, so the bytes of coming batches are fetched before a worker asks for them.

Threads of the training's own process walk the requests its loader will make, and have the blocks fetched that decoding
them reads; workers, in processes of their own, then find these in the cache. How far ahead is bounded by bytes.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator

from robomix.errors import RobomixError
from robomix.mixture.dataset import Mixture, Request
from robomix.remote.blocks import block_cache

_THREADS = 8
Job = tuple[int, Callable[[], int]]
"""The number of a request, and what fetches some of its bytes."""


class ReadAhead:
    """Fetches what `requests` of a mixture need, until closed; does nothing where no dataset is far away."""

    def __init__(
        self, mixture: Mixture, requests: Iterator[Request], *, distance: int | None = None, threads: int = _THREADS
    ) -> None:
        """`distance` is how many bytes may lie ready that no batch has used; None: half the cache, shared by ranks."""
        self._mixture = mixture
        self._requests = enumerate(requests)
        self._distance = _default_distance() if distance is None else distance
        self._change = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._ready: dict[int, int] = {}  # bytes seen to, by request
        self._received = 0
        self._working = 0
        self._is_closed = False
        self._error: BaseException | None = None
        is_far = any(source.dataset.is_far for source in self._mixture.sources)
        self._threads = [
            threading.Thread(target=self._work, name=f"robomix-read-ahead-{i}", daemon=True)
            for i in range(threads if is_far else 0)
        ]
        for thread in self._threads:
            thread.start()

    def received(self, batches: int) -> None:
        """Told by the training when it has got so many batches in all: what they needed makes room for more.

        Raises what a fetch has failed with, after its retries: a worker would fail with the same.
        """
        with self._change:
            self._received = batches
            for number in [n for n in self._ready if n < batches]:
                del self._ready[number]
            self._change.notify_all()
            if self._error is not None:
                raise self._error

    def wait(self) -> None:
        """Returns when all that may lie ready does."""
        with self._change:
            self._change.wait_for(lambda: self._error or self._is_done())
            if self._error is not None:
                raise self._error

    def close(self) -> None:
        """Ends the threads; one that is in a request, when that is answered."""
        with self._change:
            self._is_closed = True
            self._jobs.clear()
            self._change.notify_all()
        for thread in self._threads:
            thread.join(timeout=1)

    def _work(self) -> None:
        while (job := self._take()) is not None:
            number, fetch = job
            size, error = 0, None
            try:
                size = fetch()
            except Exception as failure:  # told by the training's own thread, whatever it is
                error = failure
            with self._change:
                self._working -= 1
                if number >= self._received:
                    self._ready[number] = self._ready.get(number, 0) + size
                self._error = self._error or error
                self._change.notify_all()

    def _take(self) -> Job | None:
        """The next thing to fetch, when there is room for it; None when nothing is left to do."""
        with self._change:
            while not self._is_closed and self._error is None:
                if self._jobs:
                    self._working += 1
                    return self._jobs.popleft()
                if not self._has_room():
                    self._change.wait()
                elif not self._draw():
                    break
            self._change.notify_all()
            return None

    def _draw(self) -> bool:
        """Line up the jobs of the next request that has not been received yet; False if there is none."""
        for number, request in self._requests:
            if number >= self._received:
                try:
                    self._jobs += [(number, job) for job in self._mixture.fetches(request)]
                except RobomixError as error:
                    self._error = error
                return True
        self._is_closed = True
        return False

    def _has_room(self) -> bool:
        return sum(self._ready.values()) < self._distance

    def _is_done(self) -> bool:
        nothing_left = self._is_closed or not self._has_room() or not self._threads
        return nothing_left and not self._jobs and not self._working


def _default_distance() -> int:
    ranks = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return block_cache().bound // 2 // (int(ranks) if ranks.isdigit() and int(ranks) else 1)
