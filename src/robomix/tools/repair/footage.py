"""Which frames of which video are an episode's: by the stored windows where they can be, else by counting.

The windows that the metadata has are kept where no two overlap and all lie within their files. Else, where a file has
exactly the frames that its episodes need, these lie one behind the other. Else an episode is found by the times of the
frames, and kept if there are as many as it has rows.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.places import by_episode, videos_of
from robomix.tools.check.raw.values import number
from robomix.tools.check.raw.videos import VideoFacts
from robomix.tools.check.raw.windows import Window
from robomix.tools.repair.consent import Consent
from robomix.video.remux import Clip


def find_clips(raw: RawLeRobot, key: str, lengths: Mapping[int, int], consent: Consent) -> dict[int, Clip]:
    """The frames of each episode in the videos of camera `key`; without those that cannot be told.

    `lengths` are the rows of all episodes, by their number, rising.
    """
    return _of_v2(raw, key, lengths) if raw.layout == "v2" else _of_v3(raw, key, lengths, consent)


def _of_v2(raw: RawLeRobot, key: str, lengths: Mapping[int, int]) -> dict[int, Clip]:
    lying, clips = by_episode(videos_of(raw, key)), {}
    for episode, length in lengths.items():
        for name in lying.get(episode, []):
            facts = raw.footage.videos.facts(name)
            if facts is not None and facts.count == length:
                clips[episode] = Clip(raw.root / name, 0, length)
    return clips


def _of_v3(raw: RawLeRobot, key: str, lengths: Mapping[int, int], consent: Consent) -> dict[int, Clip]:
    windows = {window.episode: window for window in raw.footage.windows if window.key == key}
    files = {e: window.file for e in lengths if (window := windows.get(e)) is not None and window.file is not None}
    if len(files) < len(lengths):
        files |= _by_counts(raw, key, lengths, files)
    clips = {}
    for name in sorted(set(files.values())):
        facts = raw.footage.videos.facts(name)
        if facts is None:
            continue
        episodes = [e for e in lengths if files.get(e) == name]
        firsts = _firsts(facts, [(lengths[e], windows.get(e)) for e in episodes], float(raw.footage.fps))
        for episode, first in zip(episodes, firsts, strict=True):
            if first is not None:
                clips[episode] = Clip(raw.root / name, first, first + lengths[episode])
        rest = facts.count - sum(lengths[e] for e in episodes)
        if rest > 0 and None not in firsts:
            consent.ask("drop_orphans", f"{number(rest, 'frame')} of {name} belong to no episode")
    return clips


def _by_counts(raw: RawLeRobot, key: str, lengths: Mapping[int, int], known: Mapping[int, str]) -> dict[int, str]:
    """The file of each episode, where the files, in order, have exactly the frames of the episodes, in order."""
    names = videos_of(raw, key)
    counts = [0 if (facts := raw.footage.videos.facts(name)) is None else facts.count for name in names]
    ends, place = np.cumsum(counts), np.cumsum(list(lengths.values()))
    if not len(ends) or ends[-1] != place[-1] or not np.isin(ends, place).all():
        return {}
    found = {e: names[int(np.searchsorted(ends, end))] for e, end in zip(lengths, place.tolist(), strict=True)}
    return found if all(found[e] == name for e, name in known.items()) else {}


def _firsts(
    facts: VideoFacts, episodes: Sequence[tuple[int, Window | None]], fps: float
) -> list[int] | list[int | None]:
    """The first frame of each of the episodes (length, window) of one file; None where it cannot be told."""
    lengths = [length for length, _ in episodes]
    stored = [_stored(window, fps) for _, window in episodes]
    known = [first for first in stored if first is not None]
    if len(known) == len(stored) and _fits(known, lengths, facts.count):
        return known
    if sum(lengths) == facts.count:
        return [0, *np.cumsum(lengths)[:-1].tolist()]
    return [_by_time(facts, length, window, fps) for length, window in episodes]


def _stored(window: Window | None, fps: float) -> int | None:
    if window is None or not np.isfinite(window.start) or window.start < 0:
        return None
    return round(window.start * fps)


def _fits(firsts: Sequence[int], lengths: Sequence[int], count: int) -> bool:
    """Whether no two episodes overlap and none reaches beyond the last frame."""
    order = np.argsort(firsts, kind="stable")
    begin = np.array(firsts)[order]
    end = begin + np.array(lengths)[order]
    return bool((begin[1:] >= end[:-1]).all() and end[-1] <= count)


def _by_time(facts: VideoFacts, length: int, window: Window | None, fps: float) -> int | None:
    if window is None or not np.isfinite([window.start, window.stop]).all() or not facts.is_timed:
        return None
    times = facts.seconds - facts.seconds[0]
    begin, end = np.searchsorted(times, [window.start - 0.5 / fps, window.stop - 0.5 / fps])
    return int(begin) if end - begin == length else None
