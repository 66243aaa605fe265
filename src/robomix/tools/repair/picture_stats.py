"""Statistics of cameras that a damaged dataset has, and whether they can be kept."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from robomix.tools.check.finding import Finding, UnverifiableError, Verdict
from robomix.tools.check.raw.lerobot import RawLeRobot

LOUD = (Verdict.FAIL, Verdict.WARN)


def is_unmeasured(key: str, raw: RawLeRobot, findings: Sequence[Finding]) -> bool:
    """Whether the statistics of a camera are missing for some episode, or not to be trusted."""
    doubtful = any(f.defect.id.startswith("A") and f.key in (key, None) and f.level in LOUD for f in findings)
    stats = camera_stats(raw, [key])
    return doubtful or any(key not in of for of in stats.values()) or len(stats) < len(raw.lengths)


def camera_stats(raw: RawLeRobot, cameras: Sequence[str]) -> dict[int, dict[str, dict[str, Any]]]:
    """Statistics of the cameras' pictures by episode, as LeRobot shapes them, where an episode has all there are."""
    try:
        found = raw.episode_stats
    except UnverifiableError:
        return {}
    made: dict[int, dict[str, dict[str, Any]]] = {}
    for row, episode in enumerate(found.ids.tolist()):
        for key in cameras:
            table = {name: values[row] for name, values in found.values.get(key, {}).items()}
            sizes = {name: 1 if name == "count" else 3 for name in table}
            whole_ = all(len(v) == sizes[name] and np.isfinite(v).all() for name, v in table.items())
            if whole_ and {"mean", "std", "min", "max", "count"} <= set(table):
                shaped = {n: v.astype(np.int64) if n == "count" else v.reshape(3, 1, 1) for n, v in table.items()}
                made.setdefault(episode, {})[key] = shaped
    return made
