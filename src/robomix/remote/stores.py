"""Object storage and other places far away, through fsspec: what lies at a URL, and bytes of it.

Settings are those of fsspec and of the storage's own library: `AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`,
`GOOGLE_APPLICATION_CREDENTIALS`, `FSSPEC_S3_ANON=true`, or fsspec's configuration files. Only their retries are turned
off, because they are silent: `retries` does that here.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from robomix.errors import ConfigError, RemoteError, did_you_mean
from robomix.remote.counts import counts
from robomix.remote.retries import ShortReadError, persistently, told
from robomix.remote.urls import scheme_of

_IDENTITIES = ("ETag", "etag", "md5Hash", "generation", "checksum", "Last-Modified", "LastModified", "mtime", "created")
"""What filesystems tell of a file that changes with its content, the best first."""
_PACKAGES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
"""Scheme to the extra of robomix that installs what it needs."""
_SILENT: Mapping[str, Mapping[str, Any]] = {
    "s3": {"config_kwargs": {"retries": {"total_max_attempts": 1, "mode": "standard"}}},
}
_SHOWN = 8


@dataclass(frozen=True)
class FarFile:
    """A file far away, of the version that was listed."""

    url: str
    size: int
    """Bytes."""
    identity: str
    """Changes with the content: ETag, checksum or time of change; empty where the storage tells nothing."""

    @property
    def key(self) -> str:
        """Hex digest of all three."""
        text = f"{self.url}\0{self.size}\0{self.identity}"
        return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


class Store:
    """One filesystem. All methods may be called from any thread of the process that opened it."""

    def __init__(self, scheme: str) -> None:
        """Raises ConfigError for a scheme that is unknown or needs a package."""
        self._scheme = scheme
        self._fs = _filesystem(scheme)

    def files(self, url: str) -> dict[str, FarFile]:
        """The files below `url` by their path relative to it, sorted; one with the name "" where `url` is a file.

        Hidden files are left out. Raises RemoteError where nothing lies there, or what lies there may not be listed.
        """
        found = self._asked(f"listing {url}", url, lambda: self._find(url))
        if not found:
            raise RemoteError(f"nothing lies at {url}, expected a dataset.{self._neighbour(url)}")
        files = {}
        for name, info in sorted(found.items()):
            path = PurePosixPath(name)
            if any(part == ".." or "\0" in part for part in path.parts) or path.is_absolute():
                raise RemoteError(f"{url} holds {name!r}, whose name leads out of its folder. Rename it there.")
            if not any(part.startswith(".") for part in path.parts):
                files[name] = self._file(f"{url}/{name}" if name else url, info)
        return files

    def read(self, file: FarFile, start: int, stop: int) -> bytes:
        """Bytes start to stop - 1 of `file`.

        Raises RemoteError where it has changed since it was listed, is gone, or cannot be reached after all retries.
        """

        def get() -> bytes:
            data: bytes = self._fs.cat_file(self._path(file.url), start=start, end=stop)
            if len(data) == stop - start:
                return data
            if self._stat(file) == (file.size, file.identity):
                raise ShortReadError(f"{len(data)} bytes came of {stop - start}")
            raise _changed(file)

        def check() -> None:
            if self._stat(file) != (file.size, file.identity):
                raise _changed(file)

        what = f"reading bytes {start} to {stop} of {file.url}"
        data = self._asked(what, file.url, get)
        # The bytes are those of the version that was listed if the file is still that version after they came.
        self._asked(f"looking at {file.url}", file.url, check)
        counts.add(bytes=len(data))
        return data

    def _stat(self, file: FarFile) -> tuple[int, str]:
        found = self._file(file.url, self._fs.info(self._path(file.url)))
        return found.size, found.identity

    def _file(self, url: str, info: Mapping[str, Any]) -> FarFile:
        identity = next((f"{name}:{_plain(info[name])}" for name in _IDENTITIES if info.get(name) is not None), "")
        return FarFile(url, int(info["size"]), identity)

    def _find(self, url: str) -> dict[str, Mapping[str, Any]]:
        """What fsspec says of each file below `url`, by relative path."""
        path = self._path(url)
        found = self._fs.find(path, detail=True)
        names = {name: str(name).removeprefix(path).lstrip("/") for name in found}
        kept = {names[name]: info for name, info in found.items() if info.get("type") == "file"}
        # A listing over HTTP knows names only.
        asked = {name: i if i.get("size") is not None else self._fs.info(i["name"]) for name, i in kept.items()}
        # What object stores keep as the mark of a folder is no file.
        return {name: i for name, i in asked.items() if i.get("size") is not None and not str(i["name"]).endswith("/")}

    def _path(self, url: str) -> str:
        return str(self._fs._strip_protocol(url))

    def _neighbour(self, url: str) -> str:
        """What lies where `url` should, for an error."""
        parent, _, name = self._path(url).rpartition("/")
        try:
            names = sorted(str(entry).rstrip("/").rpartition("/")[2] for entry in self._fs.ls(parent, detail=False))
        except Exception:  # it is only a hint: any failure means there is none
            return ""
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        beside = f" Beside it: {', '.join(names[:_SHOWN])}{more}." if names else ""
        return did_you_mean(name, names) or beside

    def _asked[T](self, what: str, url: str, job: Callable[[], T]) -> T:
        """What `job` returns, tried persistently; errors of fsspec and the libraries below as RemoteError."""
        try:
            return persistently(what, job)
        except RemoteError:
            raise
        except FileNotFoundError as error:
            hint = self._neighbour(url)
            raise RemoteError(f"{what}: there is nothing at {url} ({told(error)}).{hint}") from error
        except PermissionError as error:
            raise RemoteError(f"{what} is refused ({told(error)}). {_credentials(self._scheme)}") from error
        except Exception as error:
            if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"):
                raise RemoteError(f"{what}: {told(error)}. {_credentials(self._scheme)}") from error
            if isinstance(error, OSError | ValueError) or type(error).__module__.split(".")[0] in _LIBRARIES:
                raise RemoteError(f"{what} failed: {told(error)}.") from error
            raise


_LIBRARIES = ("aiohttp", "botocore", "aiobotocore", "gcsfs", "google")


def store_of(url: str) -> Store:
    """The store of a URL, opened once per process and scheme. Raises ConfigError where it cannot be."""
    key = (os.getpid(), scheme_of(url), os.environ.get("AWS_ENDPOINT_URL"), os.environ.get("AWS_ACCESS_KEY_ID"))
    with _lock:
        if key not in _stores:
            _stores[key] = Store(scheme_of(url))
        return _stores[key]


_stores: dict[tuple[int, str, str | None, str | None], Store] = {}
_lock = threading.Lock()


def _filesystem(scheme: str) -> Any:
    known = sorted(set(fsspec.available_protocols()))
    if scheme not in known:
        hint = did_you_mean(scheme, known)
        raise ConfigError(f"{scheme}:// is no storage that fsspec knows.{hint} Such are s3://, gs://, https://.")
    options = _SILENT.get("s3" if scheme == "s3a" else scheme, {})
    try:
        fs, _ = url_to_fs(f"{scheme}://x/", use_listings_cache=False, skip_instance_cache=True, **options)
    except ImportError as error:
        extra = _PACKAGES.get(scheme)
        install = f"pip install 'robomix[{extra}]'" if extra else "install the package it names"
        raise ConfigError(f"{scheme}:// needs a package that is missing: {error}. {install} does it.") from error
    except (ValueError, OSError) as error:
        raise ConfigError(f"{scheme}:// cannot be opened: {told(error)}. Check fsspec's settings for it.") from error
    if hasattr(fs, "retries"):
        fs.retries = 1  # s3fs and gcsfs: the number of tries
    return fs


def _plain(value: Any) -> Any:
    """A time in seconds: filesystems give it as such when they list, and as a datetime when asked for one file."""
    return value.timestamp() if isinstance(value, datetime) else value


def _credentials(scheme: str) -> str:
    if _PACKAGES.get(scheme) == "s3":
        return (
            "Give credentials by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or `aws configure`; "
            "FSSPEC_S3_ANON=true is for public buckets."
        )
    if _PACKAGES.get(scheme) == "gs":
        return "Give credentials by GOOGLE_APPLICATION_CREDENTIALS or `gcloud auth application-default login`."
    return "Check your permissions there."


def _changed(file: FarFile) -> RemoteError:
    return RemoteError(
        f"{file.url} has changed since it was listed. Start again, so that all that is read is of one version."
    )
