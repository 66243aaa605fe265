"""What this process has fetched from far away, and how often it had to try again."""

import threading


class Counts:
    """Counters that any thread may raise. They only grow; a reader takes the difference of two readings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.retries = 0
        """Requests that were made again after an error that may pass."""
        self.found = 0
        """Blocks of videos that were wanted and lay in the cache."""
        self.fetched = 0
        """Blocks of videos that were wanted and had to be fetched."""
        self.bytes = 0
        """Bytes that came over the network, of blocks and of whole files."""

    def add(self, *, retries: int = 0, found: int = 0, fetched: int = 0, bytes: int = 0) -> None:
        with self._lock:
            self.retries += retries
            self.found += found
            self.fetched += fetched
            self.bytes += bytes


counts = Counts()
"""Those of this process."""
