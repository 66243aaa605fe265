"""The page of a verification: what was found, and the samples as the policy is given them."""

import math
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from robomix.features import ACTION
from robomix.mixture.laps import PHASES
from robomix.report.blocks import Block, Page, Section, Table, Text, linked, number, text
from robomix.report.caps import CAMERAS, FOLDED, LANES, LISTED, PICTURES, ROWS, and_more, share_of
from robomix.report.distributions import Numbers, histograms
from robomix.report.samples import entry_names, first_draws, sheets, strips
from robomix.report.shares import share_bars
from robomix.tools.inspect.vector_names import STATE
from robomix.tools.verify.result import SourceDraws, Verification
from robomix.tools.verify.subject import Subject
from robomix.tools.verify.table import summary

_TONES = {"ok": "good", "off": "bad", "not checked": "warn"}
_TASKS = 20
"""Tasks of a source that are listed."""


def verify_page(found: Verification, subject: Subject, made: str = "") -> Page:
    """The page of what a verification of `subject` has `found`. Reads some of the samples that were drawn once more."""
    off = [check.name for check in found.checks if check.verdict == "off"]
    skipped = [check.name for check in found.checks if check.verdict == "not checked"]
    said = f"{len(off)} of {len(found.checks)} checks are off: {', '.join(off)}" if off else "Nothing is off"
    said += f"; not checked: {', '.join(skipped)}" if skipped else ""
    sections = [
        _checks(found),
        _shares(found),
        _coverage(found),
        _numbers(found),
        _sample(found),
        _orders(found),
        _loading(found),
        *_sources(found, subject),
    ]
    return Page(
        f"Verification of {found.origin}", said, "bad" if off else "warn" if skipped else "good", sections, made
    )


def _checks(found: Verification) -> Section:
    order = list(_TONES)
    rows = [
        [text(one.name), text(one.verdict, tone=_TONES[one.verdict], sort=order.index(one.verdict)), text(one.text)]
        for one in found.checks
    ]
    return Section(
        "checks", "Checks", [Table(("check", "verdict", "what was found"), rows, is_stacked=True)], summary(found)
    )


def _shares(found: Verification) -> Section:
    names = [one.name for one in found.sources]
    if not names:
        return Section("shares", "Shares", [Text("The samples cannot be counted; see the checks.", "warn")])
    shares = {
        "resolved": np.array([one.resolved for one in found.sources]),
        "measured": np.array([one.measured for one in found.sources]),
    }
    columns = ("source", "resolved", "measured", "drawn", "expected", "largest deviation")
    rows = [
        [
            linked(one.name, _id(i)),
            number(one.resolved, ".3%", share=one.resolved),
            number(one.measured, ".3%", share=one.measured),
            number(one.drawn, ","),
            number(one.expected, ",.1f"),
            number(one.largest_deviation, "+.2f"),
        ]
        for i, one in enumerate(found.sources)
    ]
    note = (
        "Resolved: what the weights of the file come to. Measured: of the samples drawn. The largest deviation is in "
        "samples, at the end of the batch where the source was furthest ahead (+) or behind (-)."
    )
    return Section("shares", "Shares", [share_bars(names, shares), Table(columns, rows)], note)


def _coverage(found: Verification) -> Section:
    columns = (
        "source",
        "fps",
        "epochs",
        "frames drawn",
        "of",
        "drawn again",
        "episodes",
        "of",
        "tasks",
        "of",
        "padding",
    )
    rows = []
    for i, one in enumerate(found.sources):
        rows.append([
            linked(one.name, _id(i)),
            number(one.fps, "g"),
            number(one.epochs, ",.2f"),
            number(one.frames_seen, ",", share=one.frames_seen / max(one.frames, 1)),
            number(one.frames, ","),
            number(one.frames_seen_again, ","),
            number(one.episodes_seen, ","),
            number(one.episodes, ","),
            number(one.tasks_seen, ","),
            number(one.tasks_total, ","),
            text(_padding(one)),
        ])  # fmt: skip
    tasks = []
    left = []
    for i, one in enumerate(found.sources):
        listed = sorted(one.tasks.items(), key=lambda item: -item[1])[:_TASKS]
        for task, drawn in listed:
            tasks.append([linked(one.name, _id(i)), text(task), number(drawn, ",", share=drawn / max(one.drawn, 1))])
        left += [f"{one.tasks_seen - len(listed):,} of {one.name}"] if one.tasks_seen > len(listed) else []
    blocks: list[Block] = [Table(columns, rows), Table(("source", "task", "samples"), tasks[:ROWS], "Tasks")]
    left += [f"{len(tasks) - ROWS:,} of the last sources"] if len(tasks) > ROWS else []
    blocks += [Text(f"Tasks that are not listed: {and_more(left, 10)}.", "note")] if left else []
    return Section("coverage", "What was drawn", blocks)


def _padding(one: SourceDraws) -> str:
    steps = [f"{key} {share:.1%} of steps" for key, share in one.padded_steps.items() if 0 < share < 1]
    dims = [f"{key} {share:.0%} of entries" for key, share in one.padded_dims.items() if 0 < share < 1]
    return "; ".join([*steps, *dims, *(f"no {key}" for key in one.lacks)])


def _numbers(found: Verification) -> Section:
    place = {one.name: i for i, one in enumerate(found.sources)}
    seen = [one for one in found.values if one.count and one.source in place]
    keys = sorted(dict.fromkeys(one.key for one in seen), key=lambda key: (key not in (STATE, ACTION), key == ACTION))
    blocks: list[Block] = []
    for key in keys:
        own = [one for one in seen if one.key == key]
        numbers = [Numbers(one.source, place[one.source], entry_names(key, one.labels), one.sample) for one in own]
        most = max(len(one.sample) for one in own)
        blocks += histograms(key, numbers, f"Of up to {most:,} of the rows drawn of a source, evenly spaced.")
    columns = ("source", "entry", "mean", "std", "min", "max", "not finite")
    rows = [
        [
            linked(one.source, _id(place[one.source])),
            text(label),
            *(number(float(column[d]) + 0.0, ".4g") for column in (one.mean, one.std, one.minimum, one.maximum)),
            number(one.not_finite, ","),
        ]
        for one in seen
        for d, label in enumerate(one.labels)
    ]
    caption = "Mean, spread and range of all rows drawn; not finite: numbers of the whole feature"
    blocks.append(Table(columns, rows[:ROWS], caption, is_folded=len(rows) > FOLDED))
    blocks += [Text(f"{len(rows) - ROWS:,} more entries; --json has all.", "note")] if len(rows) > ROWS else []
    note = (
        "As samples hold them, before normalization, padding left out; of a window one step of each sample, of a "
        "camera some pixels. One axis for all sources, each drawn as high as its fullest bin."
    )
    return Section("numbers", "Numbers", blocks, note)


def _sample(found: Verification) -> Section:
    rows = [
        [text(one.key), text(one.dtype), text(" x ".join(map(str, one.shape)) or "-")] for one in found.features[:ROWS]
    ]
    return Section("sample", "A sample", [Table(("entry", "dtype", "shape"), rows)], "What comes out of the loader.")


def _orders(found: Verification) -> Section:
    columns = ("shuffled", "decoded per frame", "files per batch", "episodes per batch", "autocorrelation")
    rows = [
        [
            text(seen.order),
            *(
                text("-") if cost is None else number(cost, ",.1f")
                for cost in (seen.decoded_per_frame, seen.files_per_batch)
            ),
            number(seen.episodes_per_batch, ",.1f"),
            text("-") if seen.autocorrelation is None else number(seen.autocorrelation, ".3f"),
        ]
        for seen in found.orders
    ]
    note = (
        "Frames decoded for each camera frame of a sample, by the key frames of the videos; files opened for a rank's "
        "slice of a batch; different episodes in a global batch; and how far the episodes of a batch are those of the "
        "one before it: 0 as by chance, 1 the same ones."
    )
    return Section("order", "Order", [Table(columns, rows)], note)


def _loading(found: Verification) -> Section:
    timing, total = found.timing, sum(found.timing.phases_s.values())
    rows = [
        [text(phase), text(about), number(timing.phases_s[phase], ",.2f", share=timing.phases_s[phase] / (total or 1))]
        for phase, about in PHASES.items()
        if phase in timing.phases_s
    ]
    waiting = f", {timing.waiting_s / timing.draw_s:.0%} of it waiting for batches" if timing.draw_s > 0 else ""
    speed = "" if math.isnan(timing.samples_per_s) else f"{timing.samples_per_s:,.0f} samples/s on this machine; "
    said = f"{speed}{timing.start_s:.2f} s until the first batch, then {timing.draw_s:.2f} s{waiting}."
    table = Table(("phase", "what happens", "seconds"), rows, "Seconds of all workers together")
    return Section("loading", "Loading", [Text(said), table])


def _sources(found: Verification, subject: Subject) -> Iterator[Section]:
    mixture = subject.mixture
    cameras = mixture.camera_keys[: max(1, CAMERAS // len(mixture.sources))]
    each = share_of(PICTURES, len(cameras) * len(mixture.sources), 2, 6)
    lanes = share_of(LANES, 2 * len(mixture.sources), 4, 24)
    requests = first_draws(subject, each, found.batches)
    for i, source in enumerate(tqdm(mixture.sources, desc="page", unit="source", delay=2, leave=False, disable=None)):
        nothing = Text("Nothing was drawn of it.", "note")
        blocks = sheets(mixture, i, requests[i], cameras) if i in requests else [nothing]
        if left := mixture.camera_keys[len(cameras) :]:
            blocks.append(Text(f"No pictures here of {and_more(left, 10)}.", "note"))
        blocks += strips(mixture, i, lanes)
        note = f"{source.dataset.path}, {source.dataset.format}. Pictures as the loader hands them to the policy."
        yield Section(_id(i), source.name, blocks, note, is_listed=len(mixture.sources) <= LISTED)


def _id(place: int) -> str:
    return f"source-{place}"
