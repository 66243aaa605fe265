"""Absolute actions made differences, and back.

What an entry of `action` at frame t + k, in the chunk of a sample at frame t, becomes, for a[.] the absolute action
and s[.] the state of a frame:

    reference: previous      a[t + k] - a[t + k - 1]    how far to go in this step; 0 at an episode's first frame
    reference: state         a[t + k] - s[t]            relative to where the robot is when the chunk starts
    reference: each_state    a[t + k] - s[t + k]        relative to where the robot is at that step

Frames after the episode's end repeat its last, as in all windows: there `previous` gives 0, and `state` the last value
again. Differences are those of numbers; rotations that are not differences of angles are better left `absolute`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from robomix.entries import check_entries, check_key, looked_up, names_of, resolve, vector_named
from robomix.errors import AlignmentError, ConfigError, did_you_mean
from robomix.features import Feature
from robomix.mixture.transforms.base import DatasetTransformStep, Sample, register_dataset_transform
from robomix.mixture.transforms.values import floating, floating_feature
from robomix.mixture.transforms.windows import Window, Windows, covered, narrowed, pick, shifted

REFERENCES = ("previous", "state", "each_state")


class _Difference(DatasetTransformStep, ABC):
    """What the step and its inverse share: which entries are differences, and to what."""

    batched = True

    def __init__(
        self,
        reference: str,
        key: str = "action",
        state: str = "observation.state",
        entries: Sequence[int | str] | None = None,
        absolute: Sequence[int | str] | None = None,
        state_entries: Sequence[int | str] | None = None,
    ) -> None:
        if reference not in REFERENCES:
            known = f"expected {', '.join(REFERENCES)}"
            raise ConfigError(f"reference: found {reference!r}, {known}.{did_you_mean(str(reference), REFERENCES)}")
        self.reference = reference
        self.key = check_key(key)
        self.state = check_key(state, "state")
        self.entries = check_entries(entries, "entries")
        self.absolute = check_entries(absolute, "absolute")
        self.state_entries = check_entries(state_entries, "state_entries")
        self._where: list[int] = []
        self._state_where: list[int] = []

    @property
    def previous_key(self) -> str:
        """Where `__call__` looks for the action before the window, under `previous`."""
        return f"{self.key}.previous"

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature]:
        feature = self._vector(features, self.key)
        stays = set() if self.absolute is None else set(resolve(self.absolute, self.key, feature))
        self._where = [i for i in resolve(self.entries, self.key, feature) if i not in stays]
        if not self._where:
            raise AlignmentError(f"no entry of {self.key!r} is left to change: all are named in `absolute`")
        if self.reference != "previous":
            self._state_where = self._matching(feature, self._vector(features, self.state))
        return dict(features) | {self.key: floating_feature(feature)}

    def windows(self, after: Windows) -> dict[str, Window]:
        if self.key not in after:
            return dict(after)
        return covered(after, self._reference_window(after[self.key]))

    def in_windows(self, sample: Sample, before: Windows, after: Windows) -> Sample:
        passed = narrowed(sample, before, after)
        if self.key not in after:
            return passed
        window = after[self.key]
        ((source, wanted),) = self._reference_window(window).items()
        reference = pick(sample[source], before[source], wanted)
        if window is None and wanted is not None:
            reference = reference[:, 0]
        return passed | {self.key: self._changed(floating(passed[self.key]), floating(reference))}

    def relative(self, keys: frozenset[str]) -> frozenset[str]:
        return keys | {self.key} if self.reference == "state" else keys

    def _reference_window(self, window: Window) -> dict[str, Window]:
        """What is subtracted: the feature, and its window for the window of the action."""
        if self.reference == "previous":
            return {self.key: shifted(window, -1)}
        return {self.state: None if self.reference == "state" else window}

    @abstractmethod
    def _changed(self, action: Tensor, reference: Tensor) -> Tensor:
        """`action` (n, D) or (n, T, D) combined with the reference, which has its shape, or (n, S) for all of T."""

    def _referred(self, reference: Tensor, like: Tensor) -> Tensor:
        """The entries of the reference that belong to `_where`, with a time axis where `like` has one."""
        where = looked_up(self._where if self.reference == "previous" else self._state_where, self)
        return (reference if reference.ndim == like.ndim else reference[:, None])[..., where]

    def _given(self, sample: Sample, key: str) -> Tensor:
        if key not in sample:
            here = ", ".join(sample)
            raise AlignmentError(
                f"{type(self).__name__} of {self.key!r} by {self.reference} needs {key!r}, found {here}"
            )
        return floating(sample[key])

    def _vector(self, features: Mapping[str, Feature], key: str) -> Feature:
        feature = vector_named(features, key, "take differences of")
        if not feature.is_vector:
            raise AlignmentError(f"{key!r} is a single number. Make a vector of it with concat.")
        return feature

    def _matching(self, action: Feature, state: Feature) -> list[int]:
        """The state's entry for each of `_where`: as said, else of the same name if all have one, else at its index."""
        if self.state_entries is not None:
            found = resolve(self.state_entries, self.state, state)
            if len(found) != len(self._where):
                raise AlignmentError(
                    f"state_entries are {len(found)}, but {len(self._where)} entries of {self.key!r} are relative"
                )
            return found
        names = [names_of(self.key, action)[i] for i in self._where]
        if state.names is not None and all(state.names[: state.valid_dim].count(name) == 1 for name in names):
            return [state.names.index(name) for name in names]
        if max(self._where) >= state.valid_dim:
            raise AlignmentError(
                f"entry {max(self._where)} of {self.key!r} has no counterpart in {self.state!r}, which has "
                f"{state.valid_dim}. Name those that stay as they are in `absolute`, or all counterparts in "
                "`state_entries`."
            )
        return list(self._where)

    def _other_way[T: "_Difference"](self, step: type[T]) -> T:
        """A `step` for the same entries, as they were found."""
        made = step(self.reference, self.key, self.state, self._where, None, self._state_where or None)
        made._where, made._state_where = self._where, self._state_where
        return made


@register_dataset_transform("delta_action")
class DeltaAction(_Difference):
    """Makes `entries` of an action (default: all, but for `absolute`) differences to a `reference`."""

    def __call__(self, sample: Sample) -> Sample:
        """Outside a mixture: `state` is (n, S), of the chunk's start, or has the action's time axis; the action before
        the window is `action.previous` (n, D).
        """
        if self.key not in sample:
            return sample
        action = floating(sample[self.key])
        if self.reference != "previous":
            return sample | {self.key: self._changed(action, self._given(sample, self.state))}
        before = self._given(sample, self.previous_key)
        if action.ndim > before.ndim:
            before = torch.cat([before[:, None], action[:, :-1]], dim=1)
        return sample | {self.key: self._changed(action, before)}

    def inverse(self) -> "AbsoluteAction":
        return self._other_way(AbsoluteAction)

    def _changed(self, action: Tensor, reference: Tensor) -> Tensor:
        made = action.clone()
        made[..., self._where] -= self._referred(reference, action)
        return made


@register_dataset_transform("absolute_action")
class AbsoluteAction(_Difference):
    """Makes actions that are differences absolute. `each_state` is for datasets that recorded differences.

    Under `previous` differences are summed up from the action before the window, which only a rollout knows.
    """

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature]:
        if self.reference == "previous":
            raise AlignmentError(
                "absolute actions cannot be summed up within a dataset's windows, which do not reach back to the "
                "episode's start. Use `reference: each_state`, or make the other datasets' actions differences."
            )
        return super().features(features)

    def __call__(self, sample: Sample) -> Sample:
        """As that of `DeltaAction`; under `previous`, `action` is the steps from now on."""
        if self.key not in sample:
            return sample
        action = floating(sample[self.key])
        known = self._given(sample, self.previous_key if self.reference == "previous" else self.state)
        return sample | {self.key: self._changed(action, known)}

    def inverse(self) -> "DeltaAction":
        return self._other_way(DeltaAction)

    def _changed(self, action: Tensor, reference: Tensor) -> Tensor:
        made = action.clone()
        if self.reference == "previous" and action.ndim > reference.ndim:
            made[..., self._where] = action[..., self._where].cumsum(dim=1)
        made[..., self._where] += self._referred(reference, action)
        return made
