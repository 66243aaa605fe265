"""Which numbers are resampled how: what a source's `resample` says, and what is done where it says nothing.

    {action: {nearest: [gripper], rotations: [{entries: [qx, qy, qz, qw], as: quaternion_xyzw}], differences: [x, y]}}

Entries are those of the dataset's own features, by index or name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robomix.entries import resolve, vector_named
from robomix.errors import AlignmentError, ConfigError
from robomix.features import Feature
from robomix.rotations import components

Rules = Mapping[str, Mapping[str, Any]]
"""Key to what `resample` says of it, in the form above; its types are right (`robomix.frame_rules`)."""

_REWARD = "next.reward"


@dataclass(frozen=True)
class Plan:
    """How the entries of one feature are resampled; those in none of the lists are interpolated, or left to content."""

    nearest: tuple[int, ...] = ()
    rotations: tuple[tuple[tuple[int, ...], str], ...] = ()
    """Entries and form of each rotation."""
    differences: tuple[int, ...] = ()

    @property
    def given(self) -> list[int]:
        """All entries the plan speaks of."""
        rotated = [entry for entries, _ in self.rotations for entry in entries]
        return [*self.nearest, *rotated, *self.differences]


def plans_of(features: Mapping[str, Feature], rules: Rules, where: str) -> dict[str, Plan]:
    """The plan of every numeric feature. Raises ConfigError, speaking of `where`, for rules that do not fit `features`.

    Rewards of floating point add up like differences, as in action repeat: the return stays what it was.
    """
    plans = {key: Plan() for key, feature in features.items() if feature.kind == "numeric"}
    if _REWARD in plans and _is_float(features[_REWARD]) and features[_REWARD].shape in ((), (1,)):
        plans[_REWARD] = Plan(differences=(0,))
    for key, rule in rules.items():
        try:
            plans[key] = _plan(key, vector_named(features, key, "resample"), rule)
        except (AlignmentError, ConfigError) as error:
            raise ConfigError(f"{where}: {error}") from None
    return plans


def _plan(key: str, feature: Feature, rule: Mapping[str, Any]) -> Plan:
    rotations = [(_entries(one["entries"], key, feature), one["as"]) for one in rule.get("rotations", ())]
    plan = Plan(
        nearest=_entries(rule.get("nearest"), key, feature),
        rotations=tuple(rotations),
        differences=_entries(rule.get("differences"), key, feature),
    )
    for entries, form in rotations:
        names = components(form)
        if len(entries) != len(names):
            raise ConfigError(
                f"a rotation as {form} is {len(names)} entries ({', '.join(names)}), found {len(entries)} of {key!r}: "
                f"{_listed(entries, feature)}"
            )
    twice = sorted({entry for entry in plan.given if plan.given.count(entry) > 1})
    if twice:
        raise ConfigError(f"{_listed(twice, feature)} of {key!r} is to be resampled in two ways. Keep one of them.")
    if (plan.rotations or plan.differences) and not _is_float(feature):
        kind = "rotations" if plan.rotations else "differences"
        raise ConfigError(f"{key!r} is {feature.dtype}; {kind} must be floating point, whole numbers stay nearest")
    return plan


def _entries(spec: Any, key: str, feature: Feature) -> tuple[int, ...]:
    return () if spec is None else tuple(resolve(spec, key, feature))


def _listed(entries: Any, feature: Feature) -> str:
    return ", ".join(feature.names[i] if feature.names else f"entry {i}" for i in entries)


def _is_float(feature: Feature) -> bool:
    return np.issubdtype(np.dtype(feature.dtype), np.floating)
