"""A damaged LeRobot dataset as the content of a new one: what can be told from it, by all that it says together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robomix.formats.rate import as_rate
from robomix.tools.build.annotations import following
from robomix.tools.build.content import Content, Declared, Episode, Origin
from robomix.tools.build.layout import Version
from robomix.tools.build.rows import ParquetRows
from robomix.tools.build.source import further_columns, further_info, splits_of
from robomix.tools.check.families.files import is_junk
from robomix.tools.check.finding import Finding, UnverifiableError, Verdict
from robomix.tools.check.raw.lerobot import INFO, RawLeRobot
from robomix.tools.check.raw.values import number, some, whole
from robomix.tools.edit.copies import without_copies
from robomix.tools.edit.tasks import normalized
from robomix.tools.repair.consent import Consent
from robomix.tools.repair.declarations import find_features
from robomix.tools.repair.files import meta_files, other_files
from robomix.tools.repair.footage import find_clips
from robomix.tools.repair.picture_stats import LOUD, camera_stats, is_unmeasured
from robomix.tools.repair.rows import EpisodeRows, find_rows, rows_lacking
from robomix.tools.repair.texts import find_texts
from robomix.video.remux import Clip


@dataclass(frozen=True)
class Recovered:
    """What a damaged dataset holds."""

    content: Content
    version: Version
    unmeasured: tuple[str, ...]
    """Cameras whose statistics must be measured anew."""


def recover(raw: RawLeRobot, findings: Sequence[Finding], consent: Consent) -> Recovered | None:
    """The content of `raw`, mended; None where nothing can be told, of which `consent` then has the reason.

    `findings` are those of `check`.
    """
    findings = [finding for finding in findings if finding.level != Verdict.UNVERIFIED]
    try:
        _settle(raw, consent)
        return None if consent.impossible else _recover(raw, findings, consent)
    except UnverifiableError as reason:
        consent.impossible.append(f"{str(reason).rstrip('.')}.")
        return None


def _settle(raw: RawLeRobot, consent: Consent) -> None:
    """Decide the rate, and whether there is a list of episodes; in memory, so that all that is read goes by it."""
    info = raw.info  # which nothing can replace
    if consent.flags.fps is not None:
        info["fps"] = consent.flags.fps
    try:
        as_rate(raw.fps, f"{INFO}: fps")
    except UnverifiableError:
        consent.ask("fps", f"{INFO} does not say how many frames per second were recorded")
        info["fps"] = 30
    _expect_list(raw, consent)


def _recover(raw: RawLeRobot, findings: Sequence[Finding], consent: Consent) -> Recovered:
    rows = find_rows(raw, consent)
    features = find_features(raw, findings, consent)
    texts = find_texts(raw, rows, consent)
    dropped = _dropped(raw, findings, rows, features, consent)
    clips = _clips(raw, rows, features, dropped, consent)
    kept = [episode for episode in rows if episode not in dropped]
    if any(finding.defect.id == "E11" for finding in findings):
        consent.ask("keep_verified_prefix", f"{INFO} counts more episodes than there are: the recording was killed")
        first = min(dropped, default=None)
        kept = [episode for episode in kept if first is None or episode < first]
    unmeasured = tuple(key for key in _cameras(features) if is_unmeasured(key, raw, findings))
    content = Content(
        as_rate(raw.fps, INFO),
        consent.flags.robot_type or _robot(raw),
        features,
        tuple(_episodes(raw, kept, rows, texts, features, clips, unmeasured)),
        further_info(raw.info),
        meta_files(raw),
        tuple(dict.fromkeys(texts.values())),
        other_files(raw, consent),
        _splits(raw, kept, rows),
        "meta/stats.json" in raw.files,
    )
    content = following(content, texts)
    if consent.flags.normalize_tasks:
        content = normalized(content)
    if consent.flags.drop_duplicates:
        content, copies = without_copies(content)
        for copy, original in copies:
            what = f"episode {copy.origin.episode} is a copy of episode {original.origin.episode}"
            consent.ask("drop_duplicates", what, (copy.origin.episode,))
        content = replace(content, splits={} if copies else content.splits)
    return Recovered(content, version_of(raw), unmeasured)


def version_of(raw: RawLeRobot) -> Version:
    """That of the files, and of v2.x the one that info.json names or that their statistics are of."""
    if raw.layout == "v3":
        return "v3.0"
    if raw.version == "v2.0":
        return "v2.0"
    if raw.version == "v2.1":
        return "v2.1"
    return "v2.0" if "meta/stats.json" in raw.files and "meta/episodes_stats.jsonl" not in raw.files else "v2.1"


def acts_on(finding: Finding) -> bool:
    """Whether a flag mends the finding: a mere remark is mended where its defect is no more than one."""
    return finding.level in LOUD or finding.level == finding.defect.verdict


def _expect_list(raw: RawLeRobot, consent: Consent) -> None:
    """A list of episodes that is there and cannot be read may hold more than files tell; one that is not, is empty."""
    names = [name for name in raw.files if name == "meta/episodes.jsonl" or name.startswith("meta/episodes/")]
    for name in names:
        if not is_junk(name) and (problem := raw.problem_of(name)):
            consent.impossible.append(f"{name} cannot be read ({problem.rstrip('.')}). Remove it to go by the files.")
    if not names:
        raw.episodes = []
    first: dict[int, Any] = {}
    for row in [] if consent.impossible else raw.episodes:
        if (index := whole(row.get("episode_index"))) is not None and first.setdefault(index, row) != row:
            consent.impossible.append(f"episode {index} is listed twice, with different entries.")


def _dropped(
    raw: RawLeRobot,
    findings: Sequence[Finding],
    rows: Mapping[int, EpisodeRows],
    features: Mapping[str, Declared],
    consent: Consent,
) -> set[int]:
    """Episodes that are left out, by what `check` says and by what their files lack."""
    dropped: set[int] = set()
    for finding in findings:
        if finding.flag == "drop_episodes" and acts_on(finding) and finding.episodes:
            consent.ask("drop_episodes", f"{finding.defect.id}, {finding.found.rstrip('.')}", finding.episodes)
            dropped |= set(finding.episodes)
    for key, spec in features.items():
        if spec["dtype"] != "video" and (lacking := set(rows_lacking(raw, key, rows)) - dropped):
            what = f"{number(len(lacking), 'episode')} without the column {key!r}: {some(sorted(lacking), 8)}"
            consent.ask("drop_episodes", what, tuple(sorted(lacking)))
            dropped |= lacking
    return dropped


def _clips(
    raw: RawLeRobot,
    rows: Mapping[int, EpisodeRows],
    features: Mapping[str, Declared],
    dropped: set[int],
    consent: Consent,
) -> dict[str, dict[int, Clip]]:
    """The frames of each episode by camera; episodes without are added to `dropped`."""
    lengths = {episode: len(own) for episode, own in rows.items()}
    lengths |= {e: n for e, n in raw.lengths.items() if e not in lengths and e in dropped and n > 0}
    lengths = dict(sorted(lengths.items()))
    made = {}
    for key in [key for key, spec in features.items() if spec["dtype"] == "video"]:
        made[key] = find_clips(raw, key, lengths, consent)
        lost = [episode for episode in lengths if episode not in made[key] and episode not in dropped]
        if lost:
            what = f"which frames of {key!r} are those of episode {some(lost, 8)} cannot be told"
            consent.ask("drop_episodes", what, tuple(lost))
            dropped |= set(lost)
        _expect_silence(raw, {clip.path.relative_to(raw.root).as_posix() for clip in made[key].values()}, consent)
    return made


def _expect_silence(raw: RawLeRobot, names: set[str], consent: Consent) -> None:
    facts = {name: raw.footage.videos.facts(name) for name in sorted(names)}
    odd = [name for name, found in facts.items() if found is not None and (found.audio_streams or found.rotation)]
    if odd:
        consent.ask("reencode", f"{some(odd)} would lose a sound track or a rotation, which cannot be copied")


def _episodes(
    raw: RawLeRobot,
    kept: Sequence[int],
    rows: Mapping[int, EpisodeRows],
    texts: Mapping[int, str],
    features: Mapping[str, Declared],
    clips: Mapping[str, Mapping[int, Clip]],
    unmeasured: Sequence[str],
) -> list[Episode]:
    columns = {key: key for key, spec in features.items() if spec["dtype"] != "video"}
    listed = raw.episode_rows
    further = dict.fromkeys(key for row in listed.values() for key in further_columns(row))
    stats = camera_stats(raw, [key for key in _cameras(features) if key not in unmeasured])
    made = []
    for number_ in kept:
        own = rows[number_]
        used, first, place = np.unique(own.tasks, return_index=True, return_inverse=True)
        order = np.argsort(first)
        names = [texts[int(used[i])] for i in order]
        unique = tuple(dict.fromkeys(names))
        task_of = np.array([unique.index(text) for text in names], np.int64)[np.argsort(order)][place]
        made.append(
            Episode(
                len(own),
                ParquetRows(own.spans, columns, own.size),
                unique,
                {key: of[number_] for key, of in clips.items()},
                Origin(str(raw.root), number_),
                task_of if len(unique) > 1 else None,
                stats.get(number_, {}),
                dict.fromkeys(further) | further_columns(listed.get(number_, {})),
            )
        )
    return made


def _cameras(features: Mapping[str, Declared]) -> list[str]:
    return [key for key, spec in features.items() if spec["dtype"] in ("video", "image")]


def _robot(raw: RawLeRobot) -> str | None:
    found = raw.info.get("robot_type")
    return found if isinstance(found, str) else None


def _splits(raw: RawLeRobot, kept: Sequence[int], rows: Mapping[int, EpisodeRows]) -> dict[str, str]:
    """The splits of info.json, where they are ranges and the episodes keep their numbers."""
    return splits_of(raw.info.get("splits"), len(kept)) if list(kept) == list(range(len(rows))) else {}
