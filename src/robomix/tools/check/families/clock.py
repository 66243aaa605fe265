"""Family C: time stamps. robomix goes by the number of a frame, other readers by its stored time."""

from collections.abc import Iterator

import numpy as np

from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, UnverifiableError, Verdict
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.owners import owners

TOLERANCE = 1e-4
"""Seconds: LeRobot's `tolerance_s`, by which a time stamp may miss a video frame."""
GAP = 1.5
"""Periods of a frame, from which on a step between two frames is a gap."""

DEFECTS = defects(
    Defect(
        "C01",
        "time stamps are not frame_index / fps",
        Verdict.WARN,
        Depth.FILES,
        "Readers that look frames up by time, LeRobot's among them, stop or return another frame; robomix goes by "
        "frame number and is not affected.",
        Repair.CERTAIN,
    ),
    Defect(
        "C02",
        "time stamps too coarse for long episodes",
        Verdict.INFO,
        Depth.FILES,
        "float32 cannot hold times beyond 17 minutes to LeRobot's tolerance of 0.1 ms: late frames are refused.",
    ),
    Defect(
        "C03",
        "gaps or jitter in the recording",
        Verdict.INFO,
        Depth.FILES,
        "Steps between frames last longer or shorter than the rate says, so the policy learns another speed there.",
    ),
)


def off_grid(raw: RawLeRobot) -> Iterator[Finding]:
    frames = raw.frames
    if "timestamp" not in frames.columns:
        yield Finding(
            DEFECTS["C01"], found="no data file has a column 'timestamp'", expected="frame_index / fps in each row",
            key="timestamp",
        )  # fmt: skip
        return
    clock = _Clock(raw)
    missing = tuple(np.unique(clock.episodes[~np.isfinite(clock.times)]).tolist())
    if missing:
        yield Finding(
            DEFECTS["C01"], found="rows have no time stamp, or one that is not finite",
            expected="frame_index / fps in each row", key="timestamp", episodes=missing, verdict=Verdict.FAIL,
            mendable=_frames_match_rows(raw),
        )  # fmt: skip
    wrong = np.abs(clock.times - clock.expected) > TOLERANCE + clock.rounding
    if wrong.any():
        yield _wrong_times(raw, clock, wrong)


def _wrong_times(raw: RawLeRobot, clock: "_Clock", wrong: np.ndarray) -> Finding:
    worst = int(np.argmax(np.where(wrong, np.abs(clock.times - clock.expected), -1)))
    later = np.diff(clock.times)[clock.inside]
    facts = [
        f"{int(wrong.sum()):,} of {len(wrong):,} rows; the worst is frame {clock.numbers[worst]} of episode "
        f"{clock.episodes[worst]}, at {clock.times[worst]:.4f} s instead of {clock.expected[worst]:.4f} s"
    ]
    if (late := int((np.abs(clock.times[clock.first] - 0) > TOLERANCE).sum())) > 0:
        facts.append(f"{late} episodes do not start at 0")
    if len(later) and later.min() <= 0:
        facts.append("some times do not rise from frame to frame")
    matching = _frames_match_rows(raw)
    if matching:
        facts.append("frame numbers are right, for videos have as many frames as episodes have rows")
    return Finding(
        DEFECTS["C01"],
        found="; ".join(facts),
        expected=f"frame_index / {clock.fps:g}, to {TOLERANCE * 1000:g} ms",
        key="timestamp",
        episodes=tuple(np.unique(clock.episodes[wrong]).tolist()),
        mendable=matching,
    )


def coarse(raw: RawLeRobot) -> Iterator[Finding]:
    kinds = {str(file.schema.field("timestamp").type) for file in raw.frames.files if "timestamp" in file.schema.names}
    if not any("float" in kind and "double" not in kind for kind in kinds):
        return
    clock = _Clock(raw)
    stored = clock.expected.astype(np.float32).astype(float)
    steps = np.abs(np.diff(stored) - 1 / clock.fps)[clock.inside]
    error = np.abs(stored - clock.expected)
    if len(steps) and steps.max() > TOLERANCE:
        stops = bool(error.max() > TOLERANCE)
        late = np.unique(clock.episodes[1:][clock.inside][steps > TOLERANCE])
        yield Finding(
            DEFECTS["C02"],
            found=f"episodes of up to {clock.expected.max():,.0f} s with time stamps of type float32, which are off by "
            f"up to {error.max() * 1000:.2f} ms and whose steps are off by up to {steps.max() * 1000:.2f} ms",
            expected=f"at most {TOLERANCE * 1000:g} ms: shorter episodes, or times as float64",
            key="timestamp",
            episodes=tuple(late.tolist()),
            verdict=Verdict.WARN if stops else Verdict.INFO,
        )


def gaps(raw: RawLeRobot) -> Iterator[Finding]:
    clock = _Clock(raw)
    steps, period = np.diff(clock.times)[clock.inside], 1 / clock.fps
    if not len(steps) or not np.isfinite(steps).all():
        return
    off = np.abs(steps - period)
    owner = clock.episodes[1:][clock.inside]
    allowed = TOLERANCE + 2 * clock.rounding[1:][clock.inside]
    if not (off > allowed).any():
        return
    long = steps > GAP * period
    yield Finding(
        DEFECTS["C03"],
        found=f"steps between frames last {steps.min():.4f} to {steps.max():.4f} s (median {np.median(steps):.4f}); "
        f"{int(long.sum()):,} of {len(steps):,} are gaps of more than {GAP:g} periods. A reader by time needs a "
        f"tolerance of {off.max():.4f} s from step to step",
        expected=f"{period:.4f} s between all frames, for fps {clock.fps:g}",
        key="timestamp",
        episodes=tuple(np.unique(owner[off > allowed]).tolist()),
    )


class _Clock:
    """All rows by episode and, within it, by frame number."""

    def __init__(self, raw: RawLeRobot) -> None:
        frames, self.fps = raw.frames, float(raw.footage.fps)
        episode, stamp = owners(raw), frames["timestamp"]
        order = np.argsort(episode, kind="stable")
        if "frame_index" in frames.columns:
            by_number = np.lexsort((frames["frame_index"], episode))
            if _counts_up(episode[by_number], frames["frame_index"][by_number]):
                order = by_number
        self.episodes, self.times = episode[order], stamp[order]
        self.inside = self.episodes[1:] == self.episodes[:-1]
        """(N - 1,) bool: steps that do not lead into another episode."""
        self.first = np.flatnonzero(np.concatenate([[True], ~self.inside])) if len(order) else np.zeros(0, np.int64)
        lengths = np.diff(np.append(self.first, len(order)))
        self.numbers = np.arange(len(order)) - np.repeat(self.first, lengths)
        self.expected = self.numbers / self.fps
        with np.errstate(invalid="ignore", over="ignore"):
            self.rounding = np.abs(np.spacing(np.maximum(self.times, self.expected).astype(np.float32))).astype(float)
        self.rounding[~np.isfinite(self.rounding)] = 0
        """(N,) seconds by which float32 may miss a time."""


def _counts_up(episodes: np.ndarray, numbers: np.ndarray) -> bool:
    """Whether the numbers of each episode are 0, 1, 2, ..."""
    new = np.concatenate([[True], episodes[1:] != episodes[:-1]])[: len(episodes)]
    return bool((numbers[new] == 0).all() and (np.diff(numbers)[~new[1:]] == 1).all())


def _frames_match_rows(raw: RawLeRobot) -> bool:
    """Whether frame numbers are known to be right: no videos, or as many frames in each file as its episodes have."""
    try:
        needed = {name: sum(w.length for w in windows) for (_, name), windows in raw.footage.by_file.items()}
    except UnverifiableError:
        return False
    facts = {name: raw.footage.videos.facts(name) for name in needed}
    return all(found is not None and found.count == needed[name] for name, found in facts.items())


FAMILY = Family(
    "time stamps",
    DEFECTS,
    (
        Check(("C01",), Depth.FILES, off_grid),
        Check(("C02",), Depth.FILES, coarse),
        Check(("C03",), Depth.FILES, gaps),
    ),
)
