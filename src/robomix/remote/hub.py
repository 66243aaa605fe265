"""Datasets of the Hugging Face Hub on this machine, where LeRobot looks for them, and only the files that are needed.

A download lies in the cache of huggingface_hub below `$HF_LEROBOT_HOME/hub`, a folder for each commit; one that is
asked into a folder of its own (`root`) lies there as it is in the repository. What is there already is not fetched
again, and of an interrupted download the files that had arrived whole stay.
Layout: LeRobot 0.6, `LeRobotDatasetMetadata`, which downloads the same way and so finds what robomix has fetched.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import constants, get_cached_repo_tree, snapshot_download
from huggingface_hub.errors import CachedRepoTreeNotFoundError, RevisionNotFoundError
from tqdm.auto import tqdm

from robomix.errors import ConfigError, RemoteError
from robomix.remote.counts import counts
from robomix.remote.hub_errors import LIBRARY_ERRORS, Subject, explained, local_ids
from robomix.remote.hub_files import Files, bring
from robomix.remote.hub_repository import Repository
from robomix.remote.hub_session import hub_api, may_pass, speaking
from robomix.remote.recorded import is_commit, recorded_revision
from robomix.remote.retries import persistently, told

VERSIONS = ("v3.0", "v2.1", "v2.0", "main")
"""Revisions that are tried in turn where none is asked for: LeRobot's tags for its formats, then the branch."""

log = logging.getLogger(__name__)

Choose = Callable[[Path, Sequence[str]], Collection[str]]
"""Given the folder with the metadata in place, and all files of the repository: those that are needed."""


@dataclass(frozen=True)
class Snapshot:
    """What `fetch` has brought."""

    folder: Path
    resolved_revision: str
    """The commit, 40 hex digits: what `revision` has to be for the same files at any time."""
    downloaded: int
    """Files that were not there before."""
    retries: int


def fetch(repository: Repository, choose: Choose) -> Snapshot:
    """Brings the metadata (`meta/`) of a dataset here, and then the files that `choose` names.

    Several processes may ask for the same at once; each file is downloaded by one of them. Without a connection, what
    is here is used as it was last downloaded. Raises ConfigError or RemoteError: what is missing, and what to do.
    """
    before = counts.retries
    purpose = f"{repository.repo_id} on the Hub"
    try:
        with speaking(purpose, timeout=max(constants.HF_HUB_DOWNLOAD_TIMEOUT, constants.HF_HUB_ETAG_TIMEOUT)):
            commit, unreachable = _resolved(repository)
            folder, files = repository.snapshot(commit), _listing(repository, commit, unreachable)
            meta = [name for name in files if name.startswith("meta/")]
            downloaded = bring(repository, commit, files, meta, unreachable)
            downloaded += bring(repository, commit, files, choose(folder, list(files)), unreachable)
    except LIBRARY_ERRORS as error:
        raise explained(error, _subject(repository)) from error
    except RemoteError as error:
        if error.__cause__ is None:
            raise
        raise explained(error.__cause__, _subject(repository)) from error
    if downloaded:
        log.info("%s: %d files of %s are in %s", purpose, downloaded, commit[:7], folder)
    return Snapshot(folder, commit, downloaded, counts.retries - before)


def _resolved(repository: Repository) -> tuple[str, Exception | None]:
    """The commit that is meant: by the Hub's word, and where it cannot be asked, by that of the last time, and why."""
    held = None if repository.folder is None else recorded_revision(repository.folder)
    if repository.revision is not None and is_commit(repository.revision):
        if held not in (None, repository.revision):
            raise ConfigError(
                f"{repository.who}: `root` {repository.folder} was downloaded at commit {held}, and `revision` asks "
                f"for {repository.revision}. Give another `root`, or the commit that is there."
            )
        return repository.revision, None
    if held is not None:
        return held, None
    last = _last_resolved(repository)
    if constants.is_offline_mode():
        if last is None:
            raise repository.absent("nothing of it is on this machine")
        return last, None
    if last is None:
        return persistently(f"asking for {repository.repo_id}", lambda: _asked(repository), may_pass), None
    try:
        return _asked(repository), None
    except LIBRARY_ERRORS as error:
        if not may_pass(error):
            raise
        log.warning(
            "%s: the Hub cannot be asked (%s); used as it was last downloaded, commit %s",
            repository.repo_id,
            told(error),
            last[:7],
        )
        return last, error


def _asked(repository: Repository) -> str:
    """The commit by the Hub's word, which is noted for when it cannot be asked."""
    api = hub_api()
    tried = VERSIONS if repository.revision is None else (repository.revision,)
    for revision in tried:
        try:
            found = api.repo_info(repository.repo_id, repo_type="dataset", revision=revision)
        except RevisionNotFoundError:
            if revision == tried[-1]:
                raise
            continue
        commit = str(found.sha)
        if not is_commit(commit):
            raise ConfigError(f"{api.endpoint} gives {commit!r} as a commit, expected 40 hex digits. Is it a Hub?")
        if repository.folder is None:
            _note(repository, revision, commit)
        return commit
    raise AssertionError("the last revision returns or raises")


def _note(repository: Repository, revision: str, commit: str) -> None:
    """Notes what a branch or tag means, as huggingface_hub does, so that LeRobot finds it without a connection."""
    ref = repository.snapshot(commit).parents[1] / "refs" / revision
    if ref.is_file() and ref.read_text() == commit:
        return
    ref.parent.mkdir(parents=True, exist_ok=True)
    aside = ref.with_name(f".{ref.name}.{commit}")
    aside.write_text(commit)
    aside.replace(ref)


def _last_resolved(repository: Repository) -> str | None:
    if repository.folder is not None:
        return None
    refs = repository.snapshot("").parent / "refs"
    for revision in VERSIONS if repository.revision is None else (repository.revision,):
        if (refs / revision).is_file():
            commit = (refs / revision).read_text().strip()
            return commit if is_commit(commit) else None
    return None


def _listing(repository: Repository, commit: str, unreachable: Exception | None) -> Files:
    """The files of a commit by name; without a connection or a note of them, those that are here."""
    if (files := _noted_listing(repository, commit)) is not None:
        return files
    if not constants.is_offline_mode() and unreachable is None:
        persistently(f"listing {repository.repo_id}", lambda: _ask_listing(repository, commit), may_pass)
        return _noted_listing(repository, commit) or {}
    folder = repository.snapshot(commit)
    here = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    if not here:
        raise repository.absent(f"nothing of commit {commit[:7]} is on this machine")
    return {path.as_posix(): None for path in here if path.parts[0] != ".cache"}


class _NoBar(tqdm):
    """For where there is nothing to see."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given | {"disable": True})


def _ask_listing(repository: Repository, commit: str) -> None:
    """Has huggingface_hub note which files there are, and download none of them."""
    snapshot_download(
        repository.repo_id,
        repo_type="dataset",
        revision=commit,
        cache_dir=repository.cache,
        local_dir=repository.folder,
        allow_patterns=[],
        endpoint=hub_api().endpoint,
        tqdm_class=_NoBar,
    )


def _noted_listing(repository: Repository, commit: str) -> Files | None:
    """The listing that huggingface_hub keeps beside a download."""
    try:
        files = get_cached_repo_tree(
            repository.repo_id,
            repo_type="dataset",
            revision=commit,
            cache_dir=repository.cache,
            local_dir=repository.folder,
        )
    except CachedRepoTreeNotFoundError:
        return None
    for file in files:
        if ".." in PurePosixPath(file.path).parts or PurePosixPath(file.path).is_absolute():
            raise ConfigError(f"{repository.who}: {repository.repo_id} lists {file.path!r}, which leads out of it.")
    return {file.path: file for file in files}


def _subject(repository: Repository) -> Subject:
    return Subject(
        repository.who,
        repository.repo_id,
        repository.revision,
        "dataset",
        hub_api(),
        local_ids(repository.home),
        " Files that have arrived whole are kept: the same command goes on with the others.",
    )
