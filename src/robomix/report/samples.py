"""Samples of a mixture as the policy is given them: pictures after the transforms, and numbers over time."""

from collections.abc import Sequence

import numpy as np

from robomix.features import ACTION
from robomix.mixture.dataset import Batch, Mixture, Request
from robomix.mixture.loader import ScheduledBatches
from robomix.report.blocks import Block, Chart, Charts, Sheet, Text
from robomix.report.pictures import picture
from robomix.report.strips import strip
from robomix.statistics.table import labels
from robomix.tools.inspect.vector_names import STATE
from robomix.tools.verify.subject import Subject

_EPISODE = 5_000
"""Frames of an episode that are drawn over time."""


def first_draws(subject: Subject, each: int, batches: int) -> dict[int, Request]:
    """Source, by position, to the first `each` samples that a training draws of it in so many batches."""
    mixture = subject.mixture
    bounds = np.cumsum([0, *(source.frames.num_frames for source in mixture.sources)])
    index: dict[int, list[int]] = {}
    draw: dict[int, list[int]] = {}
    for request in ScheduledBatches(mixture, subject.schedule, stop=batches):
        member = np.searchsorted(bounds, request.index, side="right") - 1
        for i, at, number_of in zip(member.tolist(), request.index.tolist(), request.draw.tolist(), strict=True):
            if len(index.setdefault(i, [])) < each:
                index[i].append(at)
                draw.setdefault(i, []).append(number_of)
        if len(index) == len(mixture.sources) and min(map(len, index.values())) == each:
            break
    return {i: Request(np.array(index[i]), np.array(draw[i])) for i in sorted(index)}


def sheets(mixture: Mixture, source: int, request: Request, cameras: Sequence[str]) -> list[Block]:
    """The pictures of `cameras` in some samples of a source, and the task that the policy is told with them.

    Of a camera that the source lacks there is one, for all are the same zeros.
    """
    one = mixture.sources[source]
    batch = mixture.__getitems__(request)
    before = sum(len(other.frames.ids) for other in mixture.sources[:source])
    episodes = one.frames.ids[batch["episode_index"].numpy() - before].tolist()
    places = [f"episode {e}, frame {f}" for e, f in zip(episodes, batch["frame_index"].tolist(), strict=True)]
    return [*(_sheet(mixture, source, key, batch, places) for key in cameras), _tasks(batch, places)]


def _sheet(mixture: Mixture, source: int, key: str, batch: Batch, places: Sequence[str]) -> Sheet:
    """The pictures of a camera; of a window those of the sample's own frame."""
    _, height, width = mixture.schema.features[key].shape
    frames = batch[key].numpy()
    window = mixture.source_horizons[source].get(key)
    if window is not None:
        frames = frames[:, list(window).index(0) if 0 in window else -1]
    title = f"{key}, {height} x {width}"
    if key not in mixture.sources[source].features:
        note = f"{title}, which this source lacks: zeros, and masked"
        return Sheet(note, [picture(frames[0], "all samples", "padding")])
    return Sheet(title, [picture(frame, place) for frame, place in zip(frames, places, strict=True)])


def _tasks(batch: Batch, places: Sequence[str]) -> Text:
    if len(set(batch["task"])) == 1:
        return Text(f"Task of these samples: {batch['task'][0]}", "note")
    told = zip(places, batch["task"], strict=True)
    return Text("Tasks: " + "; ".join(f"{place}: {task}" for place, task in told), "note")


def strips(mixture: Mixture, source: int, most: int) -> list[Block]:
    """State and action of the first episode over time, after the transforms, without windows."""
    one = mixture.sources[source]
    keys = [key for key in (STATE, ACTION) if key in one.features and key in mixture.schema.vector_keys]
    if not keys:
        return []
    frames = Mixture(mixture.sources, mixture.schema, keys=keys)
    start = sum(other.frames.num_frames for other in mixture.sources[:source])
    length = min(int(one.frames.bounds[1]), _EPISODE)
    batch = frames.__getitems__(range(start, start + length))
    drawn: list[Chart] = []
    for key in keys:
        width = one.features[key].valid_dim
        entries = entry_names(key, labels(key, one.features[key]))
        drawn.append(strip(key, batch[key].numpy()[:, :width], entries, (length - 1) / one.fps, most))
    cut = f", its first {length:,} frames" if length < one.frames.bounds[1] else ""
    caption = f"Episode {one.frames.ids[0]} over time{cut}, after the transforms. Each lane has a scale of its own."
    return [Charts(drawn, caption=caption, is_wide=True)]


def entry_names(key: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names that `statistics.table.labels` gives, without the feature's own."""
    return tuple(name.removeprefix(f"{key}.").removeprefix(f"{key} ") for name in names)
