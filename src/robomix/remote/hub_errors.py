"""What went wrong between this machine and the Hub, in words that say what to do."""

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from robomix.errors import ConfigError, RemoteError, RobomixError, did_you_mean
from robomix.remote.retries import told

LIBRARY_ERRORS = (OSError, httpx.HTTPError, HFValidationError, ValueError, RuntimeError)
"""What huggingface_hub raises for what goes wrong on the way; RuntimeError where one thread closed the connections."""
LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"


@dataclass(frozen=True)
class Subject:
    """What was asked of the Hub."""

    who: str
    """Who asks, such as `source 'a'`; begins each text."""
    repo_id: str
    revision: str | None
    kind: str
    """`dataset` or `model`."""
    api: HfApi
    known: tuple[str, ...] = ()
    """Repositories of that kind on this machine, one of which may be meant."""
    goes_on: str = ""
    """What becomes of what has arrived already."""

    @property
    def url(self) -> str:
        return f"{self.api.endpoint}/{'datasets/' if self.kind == 'dataset' else ''}{self.repo_id}"


def explained(error: BaseException, subject: Subject) -> RobomixError:
    """The error of robomix for one of huggingface_hub's: ConfigError where a name or a right is, else RemoteError."""
    chain = list(_chain(error))
    where, kind = f"{subject.who}: {subject.repo_id}", subject.kind
    for one in chain:
        if isinstance(one, HFValidationError):
            return ConfigError(f"{where} is no name of a repository, expected NAMESPACE/NAME. {told(one)}")
        if isinstance(one, GatedRepoError):
            return ConfigError(
                f"{where} is gated: its owner lets in who has asked. Accept the conditions at {subject.url}, and then "
                f"{LOG_IN}."
            )
        if isinstance(one, RepositoryNotFoundError):
            return ConfigError(
                f"{where} is no {kind} at {subject.api.endpoint}, or a private one.{_meant(subject)} For a private "
                f"one, {LOG_IN}."
            )
        if isinstance(one, RevisionNotFoundError):
            return ConfigError(f"{where} has no revision {subject.revision!r}.{_revisions(subject)}")
    return _of_the_way(chain, subject)


def _of_the_way(chain: list[BaseException], subject: Subject) -> RobomixError:
    """For what is wrong with connection, server or disk."""
    where = f"{subject.who}: {subject.repo_id}"
    for one in chain:
        if isinstance(one, LocalTokenNotFoundError):
            return ConfigError(f"{where}: nobody is logged in at {subject.api.endpoint}. To do so, {LOG_IN}.")
        if isinstance(one, ValueError):
            return ConfigError(f"{where}: {told(one)}")
        if isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT):
            return ConfigError(
                f"{where}: the disk is full ({one.filename or 'no space left'}). Free some space, or point "
                f"HF_LEROBOT_HOME to a larger disk.{subject.goes_on}"
            )
        if isinstance(one, OSError) and one.filename:
            return ConfigError(f"{where}: {one.filename} cannot be written ({one.strerror}). Check where it lies.")
        if isinstance(one, OfflineModeIsEnabled):
            return ConfigError(f"{where}: HF_HUB_OFFLINE=1 forbids to ask {subject.api.endpoint}. Unset it.")
        if isinstance(one, HfHubHTTPError) and one.response.status_code in (401, 403):
            return ConfigError(f"{where}: {subject.api.endpoint} refuses ({told(one)}). You may have to {LOG_IN}.")
        if isinstance(one, HfHubHTTPError):
            return RemoteError(
                f"{where}: {subject.api.endpoint} answers with an error ({told(one)}). Try again later."
                f"{subject.goes_on}"
            )
        if isinstance(one, httpx.TimeoutException):
            return RemoteError(
                f"{where}: {subject.api.endpoint} took too long to answer. Try again later, or give it more than "
                "10 seconds with HF_HUB_DOWNLOAD_TIMEOUT=60 HF_HUB_ETAG_TIMEOUT=60."
                f"{subject.goes_on}"
            )
        if isinstance(one, httpx.ConnectError):
            return RemoteError(
                f"{where}: {subject.api.endpoint} cannot be reached ({told(one)}). Is the network up, and HF_ENDPOINT "
                f"right?{subject.goes_on}"
            )
    return RemoteError(f"{where}: the connection to {subject.api.endpoint} broke ({told(chain[-1])}).{subject.goes_on}")


def _meant(subject: Subject) -> str:
    if hint := did_you_mean(subject.repo_id, subject.known):
        return f"{hint} That is on this machine."
    return ""


def _revisions(subject: Subject) -> str:
    """Which revisions there are, if the Hub tells."""
    try:
        refs = subject.api.list_repo_refs(subject.repo_id, repo_type=subject.kind)
    except LIBRARY_ERRORS:
        return f" {subject.url}/tree/main lists its branches and tags."
    branches, tags = [ref.name for ref in refs.branches], [ref.name for ref in refs.tags]
    hint = did_you_mean(str(subject.revision), [*branches, *tags])
    return f"{hint} It has the branches {_listed(branches)} and the tags {_listed(tags)}."


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "(none)"


def local_ids(home: Path) -> tuple[str, ...]:
    """Datasets that lie in LeRobot's folder `home`, or in its cache of downloads there."""
    found = []
    for entry in sorted(home.iterdir()) if home.is_dir() else []:
        if entry.is_dir() and entry.name not in ("hub", "calibration"):
            found += [f"{entry.name}/{name}" for name in sorted(os.listdir(entry))]
    for entry in sorted((home / "hub").glob("datasets--*--*")):
        found.append("/".join(entry.name.split("--", 2)[1:]))
    return tuple(dict.fromkeys(found))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
