"""Where the dataset of a source lies: in a folder that is there, or in a download, of what the source uses of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from robomix.config import SourceConfig, lerobot_home, resolve_root
from robomix.errors import ConfigError
from robomix.files import Listing
from robomix.formats.lerobot.info import Info, read_info
from robomix.formats.lerobot.part import WHOLE, Part, episode_ids, files_of, video_cameras
from robomix.remote.recorded import is_download, recorded_revision
from robomix.remote.urls import as_url

_SHOWN = 10


@dataclass(frozen=True)
class Located:
    """A source's dataset on this machine."""

    path: Path
    part: Part = WHOLE
    """What of it is used, and so is there."""
    resolved_revision: str | None = None
    """The commit it is of, 40 hex digits; None for a folder that is no download."""


def locate(source: SourceConfig) -> Located:
    """Finds the dataset of `source`, and downloads what is missing of one that is on the Hub.

    A `root` that is there, and $HF_LEROBOT_HOME/repo_id, are used as they are; but a `root` that was downloaded is
    completed. Raises ConfigError, FormatError or RemoteError for what cannot be had.
    """
    folder = None if source.root is None else Path(source.root).expanduser()
    at_home = source.root is None and (lerobot_home() / str(source.repo_id)).exists()
    is_there = at_home or (folder is not None and (as_url(str(source.root)) or _exists(folder)))
    unfinished = source.repo_id is not None and folder is not None and is_there and is_download(folder)
    is_on_hub = source.repo_id is not None and "/" in source.repo_id
    if not is_on_hub or (is_there and not unfinished):
        path = resolve_root(source)
        return Located(path, resolved_revision=recorded_revision(path))
    return _downloaded(source, folder)


def _exists(folder: Path) -> bool:
    try:
        return folder.exists()
    except (OSError, ValueError):
        return False  # no path at all; whoever opens it says so


def _downloaded(source: SourceConfig, folder: Path | None) -> Located:
    from robomix.remote.hub import Repository, fetch  # its network libraries are of use here only

    parts: list[Part] = [WHOLE]

    def choose(metadata: Path, names: Sequence[str]) -> Collection[str]:
        if "meta/info.json" not in names:
            return names
        info = read_info(metadata)
        listing = Listing(metadata, dict.fromkeys(sorted(names), (0, 0)))
        parts[0] = part_of(source, info, listing)
        return files_of(info, listing, parts[0])

    who = f"source {source.name or source.repo_id!r}"
    if folder is not None and not folder.exists():
        who += f", whose `root` {folder} does not exist"
    snapshot = fetch(Repository(str(source.repo_id), source.revision, lerobot_home(), folder, who), choose)
    return Located(snapshot.folder, parts[0], snapshot.resolved_revision)


def part_of(source: SourceConfig, info: Info, listing: Listing) -> Part:
    """What `source` uses of a LeRobot dataset, as far as its metadata tells.

    `listing` holds the names of all its files. Raises ConfigError for episodes there are not.
    """
    episodes = _episodes(source, info, listing)
    dropped = {key for key, name in source.feature_map.items() if name is None}
    renamed = "meta/modality.json" in listing.files  # GR00T's names are not those of the files
    without = () if renamed else tuple(sorted(dropped & set(video_cameras(info))))
    return Part(episodes, without)


def _episodes(source: SourceConfig, info: Info, listing: Listing) -> tuple[int, ...] | None:
    by_content = source.filter_key is not None or source.success is not None
    if source.episodes is None and (source.demo_limit is None or by_content):
        return None
    every = episode_ids(info, listing)
    chosen = every if source.episodes is None else sorted(source.episodes)
    if missing := sorted(set(chosen) - set(every)):
        numbered = f", numbered {every[0]} to {every[-1]}" if every else ""
        raise ConfigError(
            f"source {source.name!r}: episodes {missing[:_SHOWN]} do not exist; {source.repo_id} has {len(every)} "
            f"episodes{numbered}"
        )
    limit = None if by_content else source.demo_limit
    return tuple(chosen[:limit])
