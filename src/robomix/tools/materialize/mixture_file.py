"""The mixture file of what was materialized: it trains as the original one, and needs none of the original datasets."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from fractions import Fraction
from typing import Any

from robomix.config import MixtureConfig, SourceConfig
from robomix.errors import ConfigError
from robomix.mixture.materialized import with_resize
from robomix.tools.materialize.plan import Part, Plan

_APPLIED = ("repo_id", "revision", "episodes", "filter_key", "demo_limit", "success", "fps", "val_fraction")
"""Keys of a source that have had their effect on what is stored."""


def dataset_block(plan: Plan) -> dict[str, Any]:
    """The `dataset:` block, long form, as plain data: what was chosen is stored, the rest stands as it was."""
    block = plan.config.to_dict()
    entries = [_entry(part, entry, plan) for part, entry in zip(plan.parts, block["datasets"], strict=True)]
    own = {key: value for key, value in block.items() if key not in ("datasets", "val_fraction")}
    return _without_defaults(own, MixtureConfig) | {"datasets": entries}


def text_of(plan: Plan, document: Mapping[str, Any]) -> str:
    """The file: `document` is the original one, whose other blocks stay."""
    lines = [
        f"# Written by `robomix materialize`: pictures of {plan.height}x{plan.width}, as {plan.storage}. The order of",
        "# samples is that of the original mixture file.",
        "dataset:",
    ]
    block = dataset_block(plan)
    lines += [f"  {key}: {_flow(value)}" for key, value in block.items() if key != "datasets"]
    lines.append("  datasets:")
    for entry in block["datasets"]:
        pairs = [f"{key}: {_flow(value)}" for key, value in entry.items()]
        lines += ["    - " + pairs[0], *("      " + pair for pair in pairs[1:])]
    lines += [f"{key}: {_flow(value)}" for key, value in document.items() if key != "dataset"]
    return "\n".join(lines) + "\n"


def _entry(part: Part, entry: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    source, features = part.source, part.small.features
    steps = with_resize(source.config, plan.height, plan.width).transforms
    made = {key: value for key, value in entry.items() if key not in (*_APPLIED, "val_episodes")}
    made |= {
        "root": str(part.folder),
        "feature_map": {old: new for old, new in source.config.feature_map.items() if old in features},
        "transforms": [{"type": step.type, "kwargs": dict(step.kwargs)} for step in steps],
        "env": _env(part, plan),
    }
    own = _without_defaults(made, SourceConfig)
    if source.held_out is not None and len(source.held_out.ordinals):
        own["val_episodes"] = _stored_ids(part, source.held_out.frames.ids.tolist())
    return {"root": own.pop("root"), "name": own.pop("name")} | own


def _stored_ids(part: Part, held_out: list[int]) -> list[int]:
    """What `held_out` episodes of the original are called where they are stored."""
    if part.record.storage == "frames":
        return held_out
    place = {episode: i for i, episode in enumerate(part.record.episodes)}
    return [place[episode] for episode in held_out]


def _env(part: Part, plan: Plan) -> dict[str, Any] | None:
    """The environment; a LeRobot dataset does not say how many steps of it a frame at another rate lasts."""
    env = part.source.config.env
    times = part.small.recorded_fps / part.small.fps
    if env is None or "repeat" in env or plan.storage == "frames" or times == 1:
        return None if env is None else dict(env)
    if times.denominator != 1:
        rates = [float(rate) for rate in (part.small.recorded_fps, part.small.fps)]
        raise ConfigError(
            f"source {part.source.name!r}: {rates[1]:g} frames per second do not divide the {rates[0]:g} of its "
            "environment: say for how many steps each action is held, `env: {repeat: 2}`."
        )
    return dict(env) | {"repeat": int(Fraction(times))}


def _without_defaults(block: Mapping[str, Any], cls: type) -> dict[str, Any]:
    """Keys whose values are not what they are without them."""
    defaults = {}
    for field in fields(cls):
        factory = field.default_factory
        defaults[field.name] = factory() if factory is not MISSING else field.default
    return {key: value for key, value in block.items() if _plain(value) != _plain(defaults[key])}


def _plain(value: Any) -> Any:
    return value if value is MISSING else json.loads(json.dumps(value, default=dict))


def _flow(value: Any) -> str:
    """Plain data as YAML in one line; JSON is YAML."""
    return json.dumps(value, ensure_ascii=False, default=dict)
