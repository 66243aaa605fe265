"""Statistics for people: one table per normalization group, a line for each entry of its vectors."""

import numpy as np
from rich.table import Table

from robomix.features import Feature
from robomix.mixture.alignment import Schema
from robomix.statistics.compute import Group, Stats
from robomix.statistics.safe import hardly_varies

COLUMNS = ("mean", "std", "min", "q01", "q50", "q99", "max")
_SHOWN_STEPS = 4


def as_table(name: str, group: Group, stats: Stats, schema: Schema) -> Table:
    """Statistics of a group: each number or channel, in what share it is padding, and what is to be known of it."""
    table = Table(title=_title(name, group), title_justify="left")
    table.add_column("entry", overflow="fold")
    for column in (*COLUMNS, "padding"):
        table.add_column(column, justify="right")
    table.add_column("note")
    for key, feature in schema.features.items():
        table.add_section()
        told = labels(key, feature)[: schema.in_front(key)]
        share = group.padding(key, schema.of_sources(key))
        padding = np.broadcast_to(share, stats[key]["mean"].size - len(told))
        own = labels(key, group.feature(key))[: np.count_nonzero(padding < 1)] if (padding < 1).any() else []
        remarks = _remarks(stats[key])
        for d, label in enumerate([*told, *own]):
            numbers = [_number(stats[key][column].reshape(-1)[d]) for column in COLUMNS]
            if schema.condition is not None and d < len(told):
                table.add_row(label, *numbers, "", f"tells the {schema.condition.on}")
                continue
            lacking = padding[d - len(told)]
            table.add_row(label, *numbers, f"{lacking:.0%}" if lacking else "", remarks[d])
        if rest := len(padding) - len(own):
            label = f"{key}, {f'{rest} more' if own else 'which it lacks'}"
            table.add_row(label, *[""] * len(COLUMNS), "100%", "padding")
    return table


def step_table(name: str, group: Group, key: str, steps: dict[str, np.ndarray]) -> Table:
    """Mean and deviation of the group's entries of `key` at steps of its window: the first, some between, the last."""
    table = Table(title=f"{key} of {name!r} by step of the chunk, mean and std", title_justify="left")
    table.add_column("entry", overflow="fold")
    shown = np.unique(np.linspace(0, len(steps["mean"]) - 1, _SHOWN_STEPS).round().astype(int))
    for step in shown:
        table.add_column(f"step {step}", justify="right")
    for d, label in enumerate(labels(key, group.feature(key))[: group.width(key)]):
        table.add_row(label, *(f"{_number(steps['mean'][k, d])}, {_number(steps['std'][k, d])}" for k in shown))
    return table


def labels(key: str, feature: Feature) -> list[str]:
    """What each entry of a feature, or each channel of a camera, is called."""
    if feature.is_camera:
        colours = ("red", "green", "blue") if feature.shape[0] == 3 else range(feature.shape[0])
        return [f"{key} {colour}" for colour in colours]
    if feature.is_vector:
        names = feature.names or tuple(str(d) for d in range(feature.shape[0]))
        return [f"{key}.{name}" for name in names]
    return [f"{key}{list(place) if place else ''}" for place in np.ndindex(feature.shape)]


def _title(name: str, group: Group) -> str:
    members = ", ".join(f"{s.name} {share:.1%}" for s, share in zip(group.sources, group.shares, strict=True))
    return f"Statistics of {name!r}: {members}"


def _remarks(stats: dict[str, np.ndarray]) -> list[str]:
    """What is to be known of each entry: those that are no signal are normalized to about 0 (`statistics.safe`)."""
    std, flat = stats["std"].reshape(-1), hardly_varies(stats).reshape(-1)
    return ["constant" if s == 0 else "hardly varies" if f else "" for s, f in zip(std, flat, strict=True)]


def _number(value: float) -> str:
    return f"{value + 0.0:.4g}"  # a plain 0 for -0
