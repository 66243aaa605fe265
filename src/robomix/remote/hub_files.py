"""Files of one commit of a repository: which are here, and how the others come."""

import shutil
import threading
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.hf_api import RepoFile
from tqdm import tqdm

from robomix.errors import ConfigError, RemoteError
from robomix.remote.hub_repository import Repository
from robomix.remote.hub_session import file_may_arrive, hub_api
from robomix.remote.retries import persistently

Files = Mapping[str, RepoFile | None]
"""By name, what the Hub lists of each; None where it could not be asked."""

_SHOWN = 3
_AT_ONCE = 8
_BAR_AFTER_S = 2
_GIT_DIGITS = 40
"""Of the hash of a file in git; the hash of a file in LFS has 64."""


def bring(
    repository: Repository, commit: str, files: Files, wanted: Collection[str], unreachable: Exception | None
) -> int:
    """Downloads those of the `wanted` files that are not here; how many they were.

    Raises `unreachable`, why the Hub cannot be asked, if there are any; ConfigError where they must not be downloaded
    or do not fit on the disk; RemoteError where they do not arrive, or huggingface_hub's own error.
    """
    folder = repository.snapshot(commit)
    missing = sorted(name for name in set(wanted) if not (folder / name).is_file())
    if not missing:
        return 0
    if constants.is_offline_mode():
        raise repository.absent(f"{len(missing)} files of commit {commit[:7]} are not here ({_some(missing)})")
    if unreachable is not None:
        raise unreachable
    _check_room(repository, [files.get(name) for name in missing])
    _download(repository, commit, files, missing)
    for name in missing:
        _check_arrived(repository, folder / name, files.get(name))
    return len(missing)


def _download(repository: Repository, commit: str, files: Files, names: Sequence[str]) -> None:
    sizes = [file.size for name in names if (file := files.get(name)) is not None]
    bar = tqdm(
        total=sum(sizes), desc=f"Downloading {repository.repo_id}", unit="B", unit_scale=True, delay=_BAR_AFTER_S,
        disable=None,
    )  # fmt: skip
    stop = threading.Event()
    share: Any = type("Share", (_Share,), {"bar": bar, "stop": stop})  # the library wants a class

    def download(name: str) -> None:
        persistently(f"downloading {name} of {repository.repo_id}", lambda: _one(name), file_may_arrive)

    def _one(name: str) -> str:
        return hf_hub_download(
            repository.repo_id,
            name,
            repo_type="dataset",
            revision=commit,
            cache_dir=repository.cache,
            local_dir=repository.folder,
            endpoint=hub_api().endpoint,
            tqdm_class=share,
        )

    with bar, ThreadPoolExecutor(_AT_ONCE) as pool:
        jobs = [pool.submit(download, name) for name in names]
        try:
            for job in as_completed(jobs):
                job.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _StoppedError(Exception):
    """Another file has failed, or the user has had enough."""


class _Share:
    """What huggingface_hub takes for the progress bar of one file: its share in the bar of all of them.

    It has the methods of the library's own bar for this (`snapshot_download`), which tell written from received bytes.
    """

    bar: tqdm
    stop: threading.Event

    def __init__(self, **given: Any) -> None:
        self.update(given.get("initial") or 0)

    def __enter__(self) -> "_Share":
        return self

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None: ...

    def update(self, n: float | None = 1) -> None:
        if self.stop.is_set():
            raise _StoppedError
        self.bar.update(n)

    def update_transfer(self, n: float | None = 1) -> None: ...

    def set_postfix_str(self, *_: object, **__: object) -> None: ...

    set_transfer_postfix_str = set_postfix_str


def _check_room(repository: Repository, files: Sequence[RepoFile | None]) -> None:
    size = sum(file.size for file in files if file is not None)
    place = repository.folder or repository.cache
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        remedy = "Choose another `root`" if repository.folder else "Point HF_LEROBOT_HOME to a larger disk"
        raise ConfigError(
            f"{repository.who}: {len(files)} files of {repository.repo_id} take {size:,} bytes, but {existing} has "
            f"{free:,} free. Free some space. {remedy}, or choose fewer `episodes`."
        )


def _check_arrived(repository: Repository, path: Path, file: RepoFile | None) -> None:
    """That a file is the one which the commit lists, by its size; else it is removed.

    In the cache, a file outside of LFS is named after its hash in git, which must be the listed one too.
    """
    if file is None:
        return
    stored = path.resolve().name
    is_other = path.is_symlink() and len(stored) == _GIT_DIGITS and stored != file.blob_id
    if path.stat().st_size != file.size or is_other:
        path.unlink()
        raise RemoteError(
            f"{repository.who}: the Hub lists {file.path} of {repository.repo_id} for this commit, and sent another "
            "file: it changed in between, or something on the way changes files. It is not used. Start again."
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
