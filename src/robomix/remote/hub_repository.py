"""A dataset on the Hub, and where it belongs on this machine."""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.file_download import repo_folder_name

from robomix.errors import ConfigError


@dataclass(frozen=True)
class Repository:
    """A dataset on the Hub, and where it belongs on this machine."""

    repo_id: str
    revision: str | None
    """Branch, tag or commit; None: the first there is of `VERSIONS`."""
    home: Path
    """LeRobot's folder."""
    folder: Path | None = None
    """Where its files go; None: into the cache below `home`."""
    who: str = ""
    """Who asks, for errors, such as `source 'a'`."""

    @property
    def cache(self) -> Path:
        return self.home / "hub"

    def snapshot(self, commit: str) -> Path:
        """The folder that holds the files of a commit, perhaps not all of them."""
        name = repo_folder_name(repo_id=self.repo_id, repo_type="dataset")
        return self.folder or self.cache / name / "snapshots" / commit

    @property
    def command(self) -> str:
        """What downloads all of it in another place, for this machine to find."""
        revision = f" --revision {self.revision}" if self.revision else ""
        place = f"--local-dir {self.folder}" if self.folder else f"--cache-dir {self.cache}"
        return f"hf download --repo-type dataset {self.repo_id}{revision} {place}"

    def absent(self, what: str) -> ConfigError:
        """The error where something is not here, and must not be downloaded."""
        return ConfigError(
            f"{self.who}: {self.repo_id} cannot be read, {what}, and HF_HUB_OFFLINE=1 forbids to download it. Unset "
            f"it, or give its folder as `root`, or get it where there is a connection: `{self.command}`"
        )
