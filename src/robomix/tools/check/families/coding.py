"""Family V, coding: how the video files of a camera are coded, and what info.json says of it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from robomix.tools.check.families.videos import by_camera
from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, UnverifiableError, Verdict
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.values import mapping, some
from robomix.tools.check.raw.videos import VideoFacts
from robomix.tools.check.raw.windows import Window

_CODECS = {"libsvtav1": "av1", "libaom-av1": "av1", "libx264": "h264", "libx265": "hevc", "h265": "hevc"}
"""Names of encoders and older names, as info.json sometimes has them, to the name of the coded format."""
_LONG_SECONDS, _LONG_FRAMES = 2.0, 30
"""A distance of key frames that exceeds both makes reading frames at random slow."""

DEFECTS = defects(
    Defect(
        "V08",
        "video files of one camera are coded differently",
        Verdict.WARN,
        Depth.FILES,
        "The files cannot be joined by copying; where the size differs, batches of frames cannot be formed.",
        Repair.FLAG,
        "reencode",
    ),
    Defect(
        "V10",
        "key frames are far apart",
        Verdict.INFO,
        Depth.FILES,
        "Reading frames at random decodes many more than are wanted, and episodes cannot be cut out without loss.",
        Repair.FLAG,
        "reencode",
    ),
    Defect(
        "V11",
        "audio, rotation, pixels that are not square, or an unusual range of brightness",
        Verdict.WARN,
        Depth.FILES,
        "Readers differ in what they make of it: turned, stretched or paler pictures, or a refusal to merge.",
        Repair.FLAG,
        "reencode",
    ),
    Defect(
        "V14",
        "info.json describes other videos",
        Verdict.WARN,
        Depth.FILES,
        "Tools that trust the description choose the wrong decoder or refuse to merge.",
        Repair.CERTAIN,
    ),
)


def differing(raw: RawLeRobot) -> Iterator[Finding]:
    properties: tuple[tuple[str, Verdict, Callable[[VideoFacts], Any]], ...] = (
        ("size (width x height)", Verdict.FAIL, lambda facts: f"{facts.width} x {facts.height}"),
        ("codec", Verdict.WARN, lambda facts: facts.codec),
        ("pixel format", Verdict.WARN, lambda facts: facts.pix_fmt),
        ("shape of pixels", Verdict.WARN, lambda facts: facts.aspect),
        ("parameter sets", Verdict.INFO, lambda facts: facts.parameters),
    )
    for key, files in raw.footage.facts_by_key().items():
        for title, verdict, value in properties if key is not None else ():
            by_value: dict[Any, list[str]] = {}
            for name, facts in files.items():
                by_value.setdefault(value(facts), []).append(name)
            if len(by_value) > 1:
                yield _differing(raw, key, title, verdict, by_value)
                break  # others follow from it
        if changing := [name for name, facts in files.items() if facts.descriptions > 1]:
            yield Finding(
                DEFECTS["V08"], found=f"the decoder's parameters change within {some(changing)}",
                expected="one set of parameters in a file", key=key, episodes=raw.footage.episodes_in(changing),
            )  # fmt: skip


def _differing(
    raw: RawLeRobot, key: str | None, title: str, verdict: Verdict, by_value: Mapping[Any, list[str]]
) -> Finding:
    usual, *others = sorted(by_value, key=lambda value: -len(by_value[value]))
    odd = [name for value in others for name in by_value[value]]
    what = (
        ""
        if title == "parameter sets"
        else f": {usual} in {len(by_value[usual])}, {', '.join(map(str, others))} in others"
    )
    return Finding(
        DEFECTS["V08"],
        found=f"{len(odd)} of {sum(map(len, by_value.values()))} files have another {title}{what}; see {some(odd)}",
        expected=f"one {title} in all files of a camera",
        key=key,
        episodes=raw.footage.episodes_in(odd),
        verdict=verdict,
        # Pictures of another size could be scaled in many ways.
        remedy="drop_episodes" if verdict is Verdict.FAIL else None,
    )


def unusual(raw: RawLeRobot) -> Iterator[Finding]:
    looks: tuple[tuple[Verdict, str, Callable[[VideoFacts], str | None]], ...] = (
        (Verdict.WARN, "pictures alone", lambda f: f"{f.audio_streams} audio track" if f.audio_streams else None),
        (Verdict.WARN, "0", lambda f: f"players turn the pictures by {f.rotation} degrees" if f.rotation else None),
        (Verdict.WARN, "square pixels", lambda f: f"pixels are {f.aspect} as wide as high" if f.aspect != 1 else None),
        (Verdict.INFO, "brightness of 16 to 235", lambda f: "brightness from 0 to 255" if f.full_range else None),
        (Verdict.INFO, "8 bits", lambda f: f"{f.bits} bits a value" if f.bits > 8 else None),
    )  # fmt: skip
    for verdict, expected, look in looks:
        yield from by_camera(raw, DEFECTS["V11"], look, expected, verdict)


def description(raw: RawLeRobot) -> Iterator[Finding]:
    for key, files in raw.footage.facts_by_key().items():
        block = block_of(raw, key)
        wrong: dict[str, str] = {}
        for name, facts in files.items():
            for what, said, actual, is_right in claims(facts, block):
                if said is not None and not is_right:
                    wrong.setdefault(what, f"{what} is {said!r}, but {actual!r} in {name}")
        if wrong:
            yield Finding(
                DEFECTS["V14"], found="; ".join(wrong.values()), expected="what the files are", key=key,
                file="meta/info.json",
            )  # fmt: skip


def block_of(raw: RawLeRobot, key: str | None) -> Mapping[str, Any]:
    spec = raw.features.get(key, {}) if key is not None else {}
    return mapping(spec.get("info") or spec.get("video_info"))


def claims(facts: VideoFacts, block: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any, bool]]:
    """(name in the block, what it says, what the file has, whether that is the same)."""
    codec = block.get("video.codec")
    yield "video.codec", codec, facts.codec, _CODECS.get(str(codec), codec) == facts.codec
    pix_fmt, actual = block.get("video.pix_fmt"), str(facts.pix_fmt)
    yield "video.pix_fmt", pix_fmt, actual, actual in (pix_fmt, f"yuvj{str(pix_fmt)[3:]}")
    for name, pixels in (("video.height", facts.height), ("video.width", facts.width)):
        yield name, block.get(name), pixels, block.get(name) == pixels
    audio = block.get("has_audio", block.get("video.has_audio"))
    yield "has_audio", audio, facts.audio_streams > 0, bool(audio) == (facts.audio_streams > 0)
    said, rate = block.get("video.fps"), facts.rate
    is_same = isinstance(said, int | float) and (rate is None or 0.98 * rate < said < 1.02 * rate)
    yield "video.fps", said, rate, is_same


def far_keys(raw: RawLeRobot) -> Iterator[Finding]:
    try:
        fps = float(raw.footage.fps)
        by_file = raw.footage.by_file
    except UnverifiableError:
        by_file, fps = {}, 30.0
    for key in raw.cameras:
        longest, within, uncuttable = 0, "", list[int]()
        for (of, name), windows in by_file.items():
            facts = raw.footage.videos.facts(name) if of == key else None
            if facts is None or not facts.count:
                continue
            distance = int(np.diff(np.append(facts.keys, facts.count)).max()) if len(facts.keys) else facts.count
            if distance > longest:
                longest, within = distance, name
            uncuttable += [window.episode for window in windows if _far_from_cut(facts, window, fps)]
        if longest > max(_LONG_SECONDS * fps, _LONG_FRAMES):
            yield Finding(
                DEFECTS["V10"], found=f"up to {longest} frames from key frame to key frame, in {within}",
                expected="a key frame every 2 frames, as LeRobot writes them", key=key,
            )  # fmt: skip
        if uncuttable:
            yield Finding(
                DEFECTS["V10"],
                found=f"{len(uncuttable):,} episodes begin several frames behind the place where the video can be cut",
                expected="a key frame at the start of each episode, which no earlier frame needs",
                key=key,
                episodes=tuple(sorted(uncuttable)),
            )


def _far_from_cut(facts: VideoFacts, window: Window, fps: float) -> bool:
    """Whether more than one frame, LeRobot's usual group less one, must be decoded before the episode's first."""
    if not np.isfinite(window.start) or not len(facts.cuttable):
        return False
    first = round(window.start * fps)
    before = facts.cuttable[facts.cuttable <= first]
    return first < facts.count and first - (int(before[-1]) if len(before) else 0) > 1


FAMILY = Family(
    "coding of videos",
    DEFECTS,
    (
        Check(("V08",), Depth.FILES, differing),
        Check(("V10",), Depth.FILES, far_keys),
        Check(("V11",), Depth.FILES, unusual),
        Check(("V14",), Depth.FILES, description),
    ),
)
