"""Videos that are encoded again: which, because of what, by which encoder, and how they are described afterwards."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from robomix.tools.build.content import Content, Drawn, Episode
from robomix.tools.build.frames import encodable
from robomix.tools.check.finding import Finding
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.videos import VideoFacts
from robomix.tools.repair.consent import Consent
from robomix.tools.repair.recover import acts_on
from robomix.video.encode import ENCODERS, encoder_like
from robomix.video.remux import Clip


def encoder_for(raw: RawLeRobot) -> str:
    """The encoder of the format in which most videos are coded; LeRobot's own where there is none for it."""
    facts = [found for name in raw.video_names if (found := raw.footage.videos.facts(name)) is not None]
    kinds = [(found.codec, str(found.pix_fmt)) for found in facts]
    return (encoder_like(*max(kinds, key=kinds.count)) if kinds else None) or "libsvtav1"


def encoded_again(
    content: Content, raw: RawLeRobot, findings: Sequence[Finding], consent: Consent, encoder: str
) -> Content:
    """`content` with the videos to be encoded that the findings of `reencode` are about, if that flag is given."""
    if not consent.flags.reencode:
        return content
    odd: dict[tuple[str, int], str] = {}
    for finding in findings:
        if finding.flag == "reencode" and acts_on(finding) and finding.key in content.videos:
            for episode in content.episodes:
                number = episode.origin.episode
                if number in finding.episodes or not finding.episodes:
                    odd[str(finding.key), number] = f"{finding.defect.id}, {finding.defect.title}"
    made = tuple(replace(e, videos=dict(_videos(e, raw, odd, consent))) for e in content.episodes)
    return described(replace(content, episodes=made), encoder)


def _videos(
    episode: Episode, raw: RawLeRobot, odd: Mapping[tuple[str, int], str], consent: Consent
) -> Iterator[tuple[str, Clip | Drawn]]:
    for key, part in episode.videos.items():
        reason = odd.get((key, episode.origin.episode))
        if reason is None or isinstance(part, Drawn) or _only_sound(_facts(raw, part), reason):
            yield key, part
        else:
            consent.ask("reencode", f"episode {episode.origin.episode}, {key}: {reason}", (episode.origin.episode,))
            yield key, encodable(part, reason)


def _facts(raw: RawLeRobot, clip: Clip) -> VideoFacts | None:
    return raw.footage.videos.facts(clip.path.relative_to(raw.root).as_posix())


def _only_sound(facts: VideoFacts | None, reason: str) -> bool:
    """Whether all that is odd is a sound track, which is left out when the frames are copied."""
    return reason.startswith("V11") and facts is not None and facts.rotation == 0 and facts.aspect == 1


def described(content: Content, encoder: str) -> Content:
    """`content` whose cameras that are encoded again are described as what they become."""
    codec, features = ENCODERS[encoder], dict(content.features)
    for key in content.videos:
        if any(isinstance(episode.videos[key], Drawn) for episode in content.episodes):
            for block in ("info", "video_info"):
                found = features[key].get(block)
                if isinstance(found, Mapping):
                    said = {"video.codec": codec.codec, "video.pix_fmt": codec.pix_fmt}
                    right = {name: value for name, value in said.items() if name in found}
                    features[key] = dict(features[key]) | {block: dict(found) | right}
    return replace(content, features=features)
