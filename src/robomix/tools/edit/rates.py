"""Videos that are shown at another rate than their dataset says: its numbers are then not those of its pictures."""

from collections.abc import Iterator

from robomix.tools.build.content import Content
from robomix.tools.build.cuts import order_of
from robomix.video.decoding_order import CutError
from robomix.video.remux import Clip


def other_rates(content: Content) -> Iterator[str]:
    """Why the frames that would be copied do not fit `content.fps`, one reason for each dataset and camera.

    Frames are counted, never timed, when they are copied: a wrong rate would go over to the new files unseen.
    """
    told = set()
    for key in content.videos:
        for episode in content.episodes:
            part = episode.videos[key]
            where = episode.origin.dataset, key
            if where not in told and isinstance(part, Clip) and (found := _other_rate(part, float(content.fps))):
                told.add(where)
                yield (
                    f"{where[0]}: frames of {key!r} follow each other at {found:.4g} per second in {part.path.name}, "
                    f"and info.json says {float(content.fps):.4g} (V06). Correct `fps` there if it is wrong; if the "
                    "video is, `robomix repair` times its frames anew."
                )


def _other_rate(part: Clip, fps: float) -> float | None:
    try:
        pace = order_of(part.path).pace
    except CutError:
        return None
    return pace.usual if pace is not None and pace.differs(fps) else None
