"""A folder of this machine as a repository of the Hub."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi
from huggingface_hub.errors import RevisionNotFoundError

from robomix.errors import RemoteError
from robomix.remote.hub_errors import LIBRARY_ERRORS, Subject, explained
from robomix.remote.hub_session import hub_api, may_pass, speaking
from robomix.remote.retries import persistently

CARD = "README.md"
LEFT_OUT = (".*", "*/.*", "images/*")
"""Hidden files, and pictures that a recording has left behind: none of them are part of a dataset or policy."""


@dataclass(frozen=True)
class Upload:
    """What goes where."""

    folder: Path
    repo_id: str
    kind: Literal["dataset", "model"]
    private: bool = False
    """Whether a new repository is; one that is there stays what it is."""
    branch: str | None = None
    """Made if it is not there; None: main."""
    replaced: tuple[str, ...] = ()
    """Patterns of files that are removed from the repository where the folder has them no more."""
    card: str | None = None
    """Text of a README.md where neither the folder nor the repository has one."""
    tag: str | None = None
    """Is made to name what was uploaded, wherever it was before."""

    @property
    def url(self) -> str:
        place = f"{hub_api().endpoint}/{'datasets/' if self.kind == 'dataset' else ''}{self.repo_id}"
        return place if self.branch is None else f"{place}/tree/{self.branch}"


def upload(job: Upload) -> str:
    """Uploads the folder; the commit that holds it. Raises ConfigError or RemoteError: what is wrong, and what to do.

    Files that are there already are not sent again, so a run that broke off is continued by the same call.
    """
    api = hub_api()
    try:
        with speaking(f"{job.repo_id} on the Hub"):
            return _uploaded(api, job)
    except LIBRARY_ERRORS as error:
        raise explained(error, _subject(api, job)) from error
    except RemoteError as error:
        if error.__cause__ is None:
            raise
        raise explained(error.__cause__, _subject(api, job)) from error


def _uploaded(api: HfApi, job: Upload) -> str:
    api.whoami()
    api.create_repo(job.repo_id, repo_type=job.kind, private=job.private or None, exist_ok=True)
    if job.branch is not None:
        api.create_branch(job.repo_id, branch=job.branch, repo_type=job.kind, exist_ok=True)
    persistently(f"uploading {job.repo_id}", lambda: _send(api, job), may_pass)
    if job.card is not None and not api.file_exists(job.repo_id, CARD, repo_type=job.kind, revision=job.branch):
        api.upload_file(
            path_or_fileobj=job.card.encode(),
            path_in_repo=CARD,
            repo_id=job.repo_id,
            repo_type=job.kind,
            revision=job.branch,
            commit_message="Add a card",
        )
    commit = str(api.repo_info(job.repo_id, repo_type=job.kind, revision=job.branch).sha)
    if job.tag is not None:
        with suppress(RevisionNotFoundError):
            api.delete_tag(job.repo_id, tag=job.tag, repo_type=job.kind)
        api.create_tag(job.repo_id, tag=job.tag, revision=commit, repo_type=job.kind)
    return commit


def _send(api: HfApi, job: Upload) -> None:
    api.upload_folder(
        repo_id=job.repo_id,
        folder_path=job.folder,
        repo_type=job.kind,
        revision=job.branch,
        ignore_patterns=list(LEFT_OUT),
        delete_patterns=list(job.replaced) or None,
        commit_message=f"Upload {job.folder.name} with robomix",
    )


def _subject(api: HfApi, job: Upload) -> Subject:
    goes_on = " What has arrived stays: the same command goes on with the rest."
    return Subject(f"pushing {job.folder}", job.repo_id, job.branch, job.kind, api, goes_on=goes_on)
