"""Family S, third part: the files of a dataset, those it should have and those it should not."""

import re
from collections.abc import Iterator, Sequence

from robomix.formats.lerobot.info import DEFAULT_PATHS
from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, Verdict
from robomix.tools.check.raw.lerobot import INFO, RawLeRobot
from robomix.tools.check.raw.places import (
    Place,
    astray,
    by_episode,
    data_places,
    episode_of,
    video_places,
    videos_of,
)
from robomix.tools.check.raw.values import number, some

DEFECTS = defects(
    Defect(
        "S08",
        "path template does not lead to the files",
        Verdict.FAIL,
        Depth.META,
        "Readers that follow the template, as LeRobot does, do not find the files and stop.",
        Repair.CERTAIN,
    ),
    Defect(
        "S09",
        "absolute paths, links out, leftovers",
        Verdict.WARN,
        Depth.META,
        "The dataset breaks when it is moved or uploaded; leftovers of a recorder take space and confuse scans.",
        Repair.CERTAIN,
    ),
    Defect(
        "S10",
        "file that nothing refers to",
        Verdict.WARN,
        Depth.META,
        "Readers that load every file in a folder train on its rows; others never see it.",
        Repair.FLAG,
        "drop_orphans",
    ),
    Defect(
        "S11",
        "file missing",
        Verdict.FAIL,
        Depth.META,
        "A training stops at the first frame of these episodes, hours in. Often only this copy is incomplete.",
        Repair.FLAG,
        "drop_episodes",
    ),
    Defect(
        "S12",
        "chunk or file number missing",
        Verdict.FAIL,
        Depth.META,
        "LeRobot cannot tell which file holds these episodes, and stops.",
        Repair.CERTAIN,
    ),
)

_FIELD = re.compile(r"\{(\w*)")
_FIELDS = {"v2": {"episode_chunk", "episode_index", "video_key"}, "v3": {"chunk_index", "file_index", "video_key"}}
PICTURES = "images/"
"""Where recorders keep pictures until they are encoded."""
_JUNK = re.compile(r"(^|/)(\.DS_Store|Thumbs\.db|desktop\.ini|\._[^/]*|[^/]*\.(tmp|part|bak|swp))$")


def fields(raw: RawLeRobot) -> Iterator[Finding]:
    """S08: templates that ask for what the layout does not have."""
    for which in ("data_path", "video_path"):
        foreign = sorted(set(_FIELD.findall(raw.template(which))) - _FIELDS[raw.layout])
        if foreign:
            found = f"{which} {raw.template(which)[:120]!r} asks for {some(foreign)}, which {raw.layout} does not have"
            expected = f"a template such as {DEFAULT_PATHS[raw.layout][which == 'video_path']}"
            yield Finding(DEFECTS["S08"], found, expected, file=INFO)


def templates(raw: RawLeRobot) -> Iterator[Finding]:
    """S08: where files lie that the metadata's templates do not name."""
    yield from _template(raw, "data_path", data_places(raw), raw.data_names)
    for key, places in video_places(raw).items():
        yield from _template(raw, "video_path", places, videos_of(raw, key), key)


def _template(
    raw: RawLeRobot, which: str, places: Sequence[Place], lying: Sequence[str], key: str | None = None
) -> Iterator[Finding]:
    lost = astray(raw, which, places, lying)
    if not lost:
        return
    template = raw.template(which)
    if set(_FIELD.findall(template)) - _FIELDS[raw.layout] or _leads_out(template):
        return  # `fields` and `leftovers` tell
    named = f"{which} {template[:120]!r} does not lead to the files of {number(len(lost), 'episode')}"
    example = by_episode(lying)[lost[0].episode][0] if raw.layout == "v2" else lying[0]
    expected = f"a template that leads to files such as {example}"
    yield Finding(DEFECTS["S08"], named, expected, key, tuple(place.episode for place in lost), INFO)


def leftovers(raw: RawLeRobot) -> Iterator[Finding]:
    """S09: what makes a dataset depend on its place, and what recorders and file browsers leave behind."""
    for which in ("data_path", "video_path"):
        template = raw.template(which)
        if _leads_out(template):
            found, expected = f"{which} is {template[:120]!r}", "a path within the dataset"
            yield Finding(DEFECTS["S09"], found, expected, file=INFO, verdict=Verdict.FAIL)
    if raw.links:
        found = f"{number(len(raw.links), 'link')} out of the dataset or to nothing, not followed: {some(raw.links)}"
        yield Finding(DEFECTS["S09"], found, "the files themselves", file=raw.links[0], mendable=False)
    junk = [name for name in raw.files if is_junk(name)]
    pictures = [name for name in raw.files if name.startswith(PICTURES)]
    for names, what in ((junk, "of a system or program"), (pictures, "of a recording that was not finished")):
        if names:
            found = f"{number(len(names), 'file')} {what}: {some(names)}"
            yield Finding(DEFECTS["S09"], found, "only the files of the dataset", file=names[0])


def is_junk(name: str) -> bool:
    """Whether a system or a program left the file."""
    return bool(_JUNK.search(name))


def _leads_out(template: str) -> bool:
    return template.startswith(("/", "~")) or ".." in template.split("/") or bool(re.match(r"[A-Za-z]:[\\/]", template))


def orphans(raw: RawLeRobot) -> Iterator[Finding]:
    """S10: files that have no part in the dataset."""
    if strange := strange_files(raw):
        found = f"nothing refers to {number(len(strange), 'file')}: {some(strange)}"
        yield Finding(DEFECTS["S10"], found, "only files of listed episodes", file=strange[0])


def strange_files(raw: RawLeRobot) -> list[str]:
    """Videos that no listed episode and no declared camera has, and v2.x rows named after none."""
    strange = [name for name in raw.data_names if raw.layout == "v2" and episode_of(name) is None]
    numbered = set(by_episode(raw.data_names))
    for name in raw.video_names:
        key = next((key for key in raw.cameras if key in name.split("/")[:-1]), None)
        if key is None:
            strange.append(name)
        elif raw.layout == "v2":
            episode = episode_of(name)
            if episode is None or (episode not in raw.episode_rows and episode not in numbered):
                strange.append(name)
    if raw.layout == "v3":
        strange += _unnamed_videos(raw)
    return strange


def _unnamed_videos(raw: RawLeRobot) -> list[str]:
    """v3.0: videos that no episode names, of the cameras whose other videos are named."""
    made = []
    for key, places in video_places(raw).items():
        named = {place.named for place in places}
        if all(place.complete for place in places) and named & set(raw.files):
            made += [name for name in videos_of(raw, key) if name not in named]
    return made


def missing_files(raw: RawLeRobot) -> Iterator[Finding]:
    """S11: files that listed episodes should have, wherever they might lie."""
    if not raw.data_names:
        expected = f"files as {raw.template('data_path')[:120]!r} names them. Download the whole dataset"
        yield Finding(DEFECTS["S11"], "there is no data file (*.parquet) at all", expected, mendable=False)
    elif raw.layout == "v2":
        held = by_episode(raw.data_names)
        videos = {episode for key in raw.cameras for episode in by_episode(videos_of(raw, key))}
        gone = [place for place in data_places(raw) if place.episode not in held]
        # An episode without any file is one that the metadata lists in vain: E02.
        yield from _missing(raw, [place for place in gone if place.episode in videos])
    for key, places in video_places(raw).items():
        if raw.layout == "v2":
            rows, frames = by_episode(raw.data_names), by_episode(videos_of(raw, key))
            gone = [place for place in places if place.episode not in frames and place.episode in rows]
        else:
            gone = [place for place in places if place.complete and place.named not in raw.files]
            gone = [] if astray(raw, "video_path", places, videos_of(raw, key)) else gone
        yield from _missing(raw, gone, key)


def missing_rows(raw: RawLeRobot) -> Iterator[Finding]:
    """S11 in v3.0: data files that are named, do not exist, and whose episodes lie nowhere else."""
    if raw.layout == "v3" and raw.data_names:
        held = set(raw.frames["episode_index"].tolist())
        gone = [place for place in data_places(raw) if place.complete and place.named not in raw.files]
        yield from _missing(raw, [place for place in gone if place.episode not in held and raw.lengths[place.episode]])


def _missing(raw: RawLeRobot, places: Sequence[Place], key: str | None = None) -> Iterator[Finding]:
    if places:
        names = list(dict.fromkeys(place.named or "a file that no template names" for place in places))
        what = "rows" if key is None else "frames"
        yield Finding(
            DEFECTS["S11"],
            f"{number(len(names), 'file')} with the {what} of {number(len(places), 'episode')} "
            f"{'does' if len(names) == 1 else 'do'} not exist: {some(names)}",
            "the files. If the dataset has them elsewhere, this copy is incomplete: copy or download it again",
            key,
            tuple(place.episode for place in places),
            names[0],
        )


def numbers(raw: RawLeRobot) -> Iterator[Finding]:
    """S12: v3.0's numbers of chunks and files."""
    if raw.layout == "v2":
        return
    every: list[tuple[str, str | None, Sequence[Place]]] = [("data", None, data_places(raw))]
    every += [(f"videos/{key}", key, places) for key, places in video_places(raw).items()]
    for prefix, key, places in every:
        lacking = tuple(place.episode for place in places if not place.complete)
        if lacking:
            found = f"{prefix}/chunk_index or {prefix}/file_index is missing for {number(len(lacking), 'episode')}"
            file = raw.episode_files[0]
            yield Finding(DEFECTS["S12"], found, "whole numbers that name the file", key, lacking, file)


FAMILY = Family(
    "files",
    DEFECTS,
    (
        Check(("S08",), Depth.META, fields),
        Check(("S08",), Depth.META, templates),
        Check(("S09",), Depth.META, leftovers),
        Check(("S10",), Depth.META, orphans),
        Check(("S11",), Depth.META, missing_files),
        Check(("S11",), Depth.FILES, missing_rows),
        Check(("S12",), Depth.META, numbers),
    ),
)
