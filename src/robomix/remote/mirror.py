"""A local folder for each dataset far away: its tables and metadata as they are, and a stand-in for each video.

Where it lies, `places` says. Each opening lists the files far away and fetches what is new or has changed; one process
at a time, the others wait. A download that was broken off goes on where it stopped. What is no video is mirrored
whole, so that every format can be read from it.
"""

import contextlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from tqdm import tqdm

from robomix.errors import ConfigError
from robomix.remote.places import URL, home_of, target_of
from robomix.remote.stand_in import fits, write_stand_in
from robomix.remote.stores import FarFile, Store, store_of
from robomix.remote.urls import as_url

VIDEOS = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v")
"""Suffixes of files that get a stand-in."""
_PIECE = 1 << 23
"""Bytes asked for at a time."""
_THREADS = 8
_TOLD_S = 5
"""After how long of waiting for another process it is said."""
_NOTED_S = 2
"""How often the index is written while files arrive."""

log = logging.getLogger(__name__)


def local_path(path: str | Path) -> Path:
    """`path` itself, or for a URL the mirror of what lies there, brought up to date.

    Raises RemoteError for what cannot be fetched, ConfigError for a scheme that is unknown or a cache without room.
    """
    url = as_url(path)
    return Path(path) if url is None else mirrored(url)


def mirrored(url: str) -> Path:
    """The mirror of `url`, brought up to date. Raises as `local_path`."""
    home = home_of(url)
    target = target_of(home, url)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _alone(home, url):
            (home / URL).write_text(url)
            _update(home, target, store_of(url), url)
    except OSError as error:
        raise ConfigError(
            f"Cannot write the mirror of {url} in {home}: {error.strerror or error}. Point the environment variable "
            "ROBOMIX_CACHE to a folder you can write, on a disk with room."
        ) from error
    return target


def _update(home: Path, target: Path, store: Store, url: str) -> None:
    listed = store.files(url)
    index = _Index.read(home)
    for name in index.files.keys() - listed.keys():
        _place(target, name).unlink(missing_ok=True)
        index.files.pop(name)
    news = {name: far for name, far in listed.items() if not index.is_there(target, name, far)}
    whole = {name: far for name, far in news.items() if not name.lower().endswith(VIDEOS) or not fits(far)}
    _check_room(home, url, sum(far.size for far in whole.values()))
    try:
        for name, far in news.items():
            if name not in whole:
                place = _place(target, name)
                place.parent.mkdir(parents=True, exist_ok=True)
                write_stand_in(place, far)
                index.note(name, far)
        _download(home, target, store, whole, index, url)
    finally:
        index.write()


def _download(home: Path, target: Path, store: Store, files: Mapping[str, FarFile], index: "_Index", url: str) -> None:
    total = sum(far.size for far in files.values())
    bar = partial(tqdm, desc=f"Fetching {url}", unit="B", unit_scale=True, delay=2, disable=None)

    def fetch(name: str, far: FarFile) -> int:
        _fetch(home, _place(target, name), store, far)
        index.note(name, far)  # at once: what has come stays, whatever happens to the others
        return far.size

    with bar(total=total) as progress, ThreadPoolExecutor(_THREADS, "robomix-mirror") as pool:
        jobs = [pool.submit(fetch, name, far) for name, far in files.items()]
        try:
            for job in as_completed(jobs):
                progress.update(job.result())
        finally:
            pool.shutdown(cancel_futures=True)


def _fetch(home: Path, place: Path, store: Store, far: FarFile) -> None:
    """Fetch a file whole, on from where an earlier try at this version of it stopped."""
    parts = home / ".parts"
    parts.mkdir(exist_ok=True)
    part = parts / far.key
    with open(part, "ab") as opened:
        done = opened.tell()
        if done > far.size:
            opened.truncate(done := 0)
        for start in range(done, far.size, _PIECE):
            opened.write(store.read(far, start, min(start + _PIECE, far.size)))
            opened.flush()
        os.fsync(opened.fileno())
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, place)


class _Index:
    """Which version of each file the mirror has, in a file beside it."""

    def __init__(self, path: Path, files: dict[str, Any]) -> None:
        self._path = path
        self.files = files
        """Relative path to the fields of a FarFile."""
        self._written = time.monotonic()
        self._lock = threading.Lock()

    @classmethod
    def read(cls, home: Path) -> "_Index":
        path = home / ".index.json"
        try:
            files = json.loads(path.read_text())
        except (OSError, ValueError):
            files = None  # a new mirror, or one that was left half written: every file is fetched
        return cls(path, files if isinstance(files, dict) else {})

    def is_there(self, target: Path, name: str, far: FarFile) -> bool:
        """Whether the mirror has this version of a file, as far as its size shows."""
        try:
            return self.files.get(name) == asdict(far) and _place(target, name).stat().st_size == far.size
        except OSError:
            return False

    def note(self, name: str, far: FarFile) -> None:
        """Enter a file that has arrived. Any thread may."""
        with self._lock:
            self.files[name] = asdict(far)
            if time.monotonic() - self._written > _NOTED_S:
                self.write()

    def write(self) -> None:
        aside = self._path.with_suffix(".new")
        aside.write_text(json.dumps(self.files))
        os.replace(aside, self._path)
        self._written = time.monotonic()


def _place(target: Path, name: str) -> Path:
    return target / name if name else target


def _check_room(home: Path, url: str, size: int) -> None:
    free = shutil.disk_usage(home).free
    if size > free:
        raise ConfigError(
            f"{url} has {size:,} bytes beside its videos, but {home} has {free:,} bytes free. Free some space or point "
            "the environment variable ROBOMIX_CACHE to a larger disk."
        )


@contextlib.contextmanager
def _alone(home: Path, url: str) -> Iterator[None]:
    """No other process inside for the same mirror."""
    lock = FileLock(home / ".lock")
    try:
        lock.acquire(timeout=_TOLD_S)
    except Timeout:
        log.info("waiting for another process that fetches %s", url)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
