"""The page of a check: what is wrong with datasets, where, what it does to a training, and what mends it."""

import shlex
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from robomix.errors import RobomixError
from robomix.report.blocks import Block, Cell, Code, Page, Picture, Section, Sheet, Table, Text, linked, number, text
from robomix.report.caps import CAMERAS, LISTED, PICTURES, ROWS, count, share_of
from robomix.report.pictures import film
from robomix.report.recorded import course
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, Verdict
from robomix.tools.check.reports import Report, Reports, counts
from robomix.tools.inspect.describe import open_for_inspection

_TONES = {Verdict.FAIL: "bad", Verdict.WARN: "warn", Verdict.INFO: "note", Verdict.UNVERIFIED: "note"}
_SAID = {
    Verdict.FAIL: "Something is wrong",
    Verdict.WARN: "Some of it needs a look",
    Verdict.INFO: "Nothing is wrong; some things are worth knowing",
    Verdict.UNVERIFIED: "Nothing is wrong with what could be looked at",
}
_DEPTHS = {Depth.META: "metadata alone", Depth.FILES: "all numbers and packets", Depth.DECODE: "every picture too"}
_EPISODES = 8
"""Episodes that a finding names."""


def check_page(reports: Reports, made: str = "") -> Page:
    """The page of `reports`. Opens the datasets that can be read, for pictures of the episodes that findings name."""
    found = ", ".join(f"{n} {verdict}" for verdict, n in counts(reports.findings).items() if n)
    verdict = reports.verdict
    said = f"{_SAID[verdict]}: {found}" if verdict else "Nothing found"
    tone = "bad" if verdict is Verdict.FAIL else "warn" if verdict is Verdict.WARN else "good"
    sections = [_overview(reports)]
    if reports.across:
        note = "What shows only when the datasets are looked at together."
        sections.append(Section("across", "Across the datasets", _findings(reports.across, "across"), note))
    sections += _datasets(reports)
    if reports.findings:
        sections.append(_glossary(reports.findings))
    return Page(f"Check of {count(len(reports.each), 'dataset')}", said, tone, sections, made)


def _overview(reports: Reports) -> Section:
    columns = ("dataset", "verdict", *(verdict.value for verdict in Verdict), "looked for", "looked at")
    rows = [
        [
            linked(report.dataset, _id(i)) if report.findings else text(report.dataset),
            _verdict(report.verdict),
            *(number(n, ",") for n in counts(report.findings).values()),
            Cell(f"{len(report.checked)} defects", sort=len(report.checked), is_number=True),
            text(_DEPTHS[report.depth]),
        ]
        for i, report in enumerate(reports.each)
    ]
    note = (
        "FAIL: a training stops, or learns from wrong data. WARN: some reader stumbles, or something is probably not "
        "as it was meant. INFO: worth knowing. UNVERIFIED: could not be looked at."
    )
    return Section("datasets", "Datasets", [Table(columns, rows)], note)


def _verdict(verdict: Verdict | None) -> Cell:
    order = list(Verdict)
    if verdict is None:
        return text("nothing found", tone="good", sort=len(order))
    return text(verdict.value, tone=_TONES[verdict], sort=order.index(verdict))


def _datasets(reports: Reports) -> Iterator[Section]:
    each = share_of(PICTURES // 3, len(reports.each), 2, 18)
    many = len(reports.each) > LISTED
    for i, report in enumerate(tqdm(reports.each, desc="page", unit="dataset", delay=2, leave=False, disable=None)):
        if not report.findings:
            continue
        films = _films(report, _id(i), each) if i < CAMERAS else {}
        blocks = [*_findings(report.findings, _id(i), films), *_remedy(report)]
        if films:
            blocks.append(Sheet("Episodes that findings name: first, middle and last frame", list(films.values())))
            left = len({episode for finding in report.findings for episode in finding.episodes}) - len(films)
            blocks += [Text(f"{count(left, 'more episode')} without pictures here.", "note")] if left else []
        yield Section(_id(i), report.dataset, blocks, is_listed=not many)


def _findings(findings: Sequence[Finding], dataset: str, pictured: Container[int] = ()) -> list[Block]:
    """The findings, gravest first; `pictured` are the episodes that have pictures on the page.

    What could not be looked at for one reason is one row.
    """
    order = list(Verdict)
    ranked = sorted(findings, key=lambda one: order.index(one.level))
    looked_at = [one for one in ranked if one.level is not Verdict.UNVERIFIED]
    rows = [
        [
            _verdict(one.level),
            _ids([one.defect.id]),
            _where(one, dataset, pictured),
            text(one.found),
            text(one.expected),
            text(one.defect.consequence),
            _repair(one),
        ]
        for one in looked_at[:ROWS]
    ]
    reasons: dict[str, list[str]] = {}
    for one in ranked[len(looked_at) :]:
        reasons.setdefault(one.found, []).append(one.defect.id)
    rows += [
        [_verdict(Verdict.UNVERIFIED), _ids(ids), text(""), text(reason), text(""), text(""), text("")]
        for reason, ids in list(reasons.items())[:ROWS]
    ]
    columns = ("verdict", "id", "where", "found", "expected", "what it does to a training", "repair")
    more = len(looked_at) + len(reasons) - len(rows)
    left = [Text(f"{count(more, 'more finding')}; --json has all.", "warn")] if more else []
    return [Table(columns, rows, is_stacked=True), *left]


def _ids(ids: Sequence[str]) -> Cell:
    return Cell("", sort=ids[0], links=[(id, f"defect-{id}") for id in dict.fromkeys(ids)])


def _where(one: Finding, dataset: str, pictured: Container[int]) -> Cell:
    """Feature and file, and the episodes, with links to the pictures of those that have some."""
    shown = one.episodes[:_EPISODES]
    links = [(str(id), f"{dataset}-episode-{id}" if id in pictured else "") for id in shown]
    if len(one.episodes) > len(shown):
        links.append((f"{len(one.episodes) - len(shown):,} more", ""))
    words = [*filter(None, (one.key, one.file)), *(["episode" if len(links) == 1 else "episodes"] if links else [])]
    return Cell("; ".join(words), sort=min(one.episodes, default=-1), links=links)


def _repair(one: Finding) -> Cell:
    if one.repair is Repair.FLAG:
        return text(f"--{one.defect.flag}", tone="code")
    return text("yes" if one.repair is Repair.CERTAIN else "by hand")


def _remedy(report: Report) -> Iterator[Block]:
    """The command that mends what can be mended without a loss, and the one that mends all that can be."""
    mendable = [finding for finding in report.findings if finding.repair is not Repair.NONE]
    flags = dict.fromkeys(f"--{finding.defect.flag}" for finding in mendable if finding.repair is Repair.FLAG)
    certain = sum(finding.repair is Repair.CERTAIN for finding in mendable)
    command = f"robomix repair {shlex.quote(report.dataset)} --out NEW"
    if certain:
        yield Text(f"{count(certain, 'finding')} can be mended for certain, into a new folder:")
        yield Code(command)
    if flags:
        others = count(len(mendable) - certain, "more finding" if certain else "finding")
        yield Text(f"{others} when data may be dropped or altered:")
        yield Code(" ".join([command, *flags]))


def _films(report: Report, dataset: str, most: int) -> dict[int, Picture]:
    """Pictures of the episodes that findings name, the gravest first; of a dataset that cannot be read none."""
    named: dict[int, list[Finding]] = {}
    for finding in sorted(report.findings, key=lambda one: list(Verdict).index(one.level)):
        for episode in finding.episodes:
            named.setdefault(episode, []).append(finding)
    films: dict[int, Picture] = {}
    if not named:
        return films
    try:
        opened = open_for_inspection(Path(report.dataset)).dataset
    except RobomixError:
        return films  # a finding says why
    cameras = [key for key, feature in opened.features.items() if feature.is_camera]
    ordinals = {int(id): i for i, id in enumerate(opened.episodes.ids) if opened.episodes.lengths[i]}
    for episode in [episode for episode in named if episode in ordinals][: most if cameras else 0]:
        key = next((one.key for one in named[episode] if one.key in cameras), cameras[0])
        rows = np.array(list(course(opened.episodes, ordinals[episode])))
        try:
            frames = opened.read_frames(key, rows)
        except RobomixError:
            continue
        ids = ", ".join(dict.fromkeys(one.defect.id for one in named[episode]))
        films[episode] = film(frames, f"Episode {episode}, {key}: {ids}", f"{dataset}-episode-{episode}")
    return films


def _glossary(findings: Sequence[Finding]) -> Section:
    known: dict[str, Defect] = {one.defect.id: one.defect for one in findings}
    rows = [
        [
            text(id),
            text(known[id].title),
            _verdict(known[id].verdict),
            text(known[id].consequence),
            _repair(Finding(known[id], "", "")),
        ]
        for id in sorted(known)
    ]
    columns = ("id", "defect", "verdict", "what it does to a training", "repair")
    table = Table(columns, rows, is_stacked=True, ids=[f"defect-{id}" for id in sorted(known)])
    return Section("defects", "The defects", [table], "Those that were found; robomix check --list prints all.")


def _id(place: int) -> str:
    return f"dataset-{place}"
