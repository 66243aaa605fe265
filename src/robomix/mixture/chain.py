"""The transforms of a source, one after the other: what each must be given, what it makes of that, what comes out."""

from collections.abc import Callable, Mapping, Sequence

import torch

from robomix.config import TransformConfig
from robomix.errors import AlignmentError
from robomix.features import Feature
from robomix.mixture.steps import Values, feature_like, run_step
from robomix.mixture.transforms import SampleError, Windows, build_transform
from robomix.mixture.transforms.program import program_text

Place = Callable[[SampleError, Windows], str]
"""Where the sample of an error is recorded, given the windows it has; for messages."""
First = Callable[[Sequence[Windows]], tuple[Values, Place]]
"""The source's first frame (1, ...), with the windows that each of some transforms must be given in turn."""


class Chain:
    """The transforms of one source."""

    def __init__(
        self, configs: Sequence[TransformConfig], source: str, features: Mapping[str, Feature], first: First
    ) -> None:
        """`features` are those the first transform is given. `first` is called where one does not declare its own.

        Raises AlignmentError or ConfigError where one cannot be built, or does not fit, naming it and the `source`.
        """
        self._configs = configs
        self._source = source
        where = f"source {source!r}, transforms"
        self.steps = tuple(build_transform(t.type, t.kwargs, f"{where}[{i}]") for i, t in enumerate(configs))
        self._before: list[dict[str, Feature]] = []  # what each transform is given
        self.features = self._transformed_features(dict(features), first)
        """What comes out."""
        self.relative = self._relative_keys()
        """Those whose value at a frame depends on the sample it is in (`DatasetTransformStep.relative`)."""

    def __call__(self, values: Values, windows: Sequence[Windows], place: Place) -> Values:
        """What all transforms make of `values` (n, ...), which have the first of `windows`, those of each in turn."""
        for i in range(len(self.steps)):
            values = self.transformed(i, values, windows, place)
        return values

    def transformed(self, i: int, values: Values, windows: Sequence[Windows], place: Place | None = None) -> Values:
        """What transform `i` makes of `values` (n, ...), which have `windows[i]`; `place` says where they are from."""
        step, before, after = self.steps[i], windows[i], windows[i + 1]
        try:
            return run_step(lambda sample: step.in_windows(sample, before, after), values, batched=step.batched)
        except AlignmentError as error:
            at = place(error, before) if place is not None and isinstance(error, SampleError) else ""
            raise AlignmentError(f"{self.place_of(i)}: {error}{at}") from None

    def windows_for(self, after: Windows, count: int | None = None) -> list[Windows]:
        """What each transform must be given, in their order, so that the windows `after` come out; last, `after`.

        With `count`, out of that many of them, the first.
        """
        windows = [after]
        for i in reversed(range(len(self.steps) if count is None else count)):
            windows.insert(0, self.windows_before(i, windows[0]))
        return windows

    def windows_before(self, i: int, after: Windows) -> Windows:
        """What transform `i` must be given so that the windows `after` come out of it."""
        asked = self.steps[i].windows(after)
        if asked is None:
            return {key: after.get(key) for key in self._before[i]}
        return {key: window for key, window in asked.items() if key in self._before[i]}

    def place_of(self, i: int) -> str:
        """Transform `i`, for errors."""
        return f"source {self._source!r}, transforms[{i}] ({self._configs[i].type})"

    def programs(self) -> list[str]:
        """Program text of the transforms, so that what is cached of their results ends with their next change."""
        return [program_text(step) for step in self.steps]

    def _transformed_features(self, features: dict[str, Feature], first: First) -> dict[str, Feature]:
        for i, step in enumerate(self.steps):
            self._before.append(features)
            try:
                declared = step.features(features)
            except AlignmentError as error:
                raise AlignmentError(f"{self.place_of(i)}: {error}") from None
            features = declared if declared is not None else self._tried(i, first)
        return features

    def _tried(self, last: int, first: First) -> dict[str, Feature]:
        """Features after step `last`, found by running the steps up to it on the source's first frame."""
        before = self._before[last]
        windows = self.windows_for(dict.fromkeys(before), last)
        values, place = first(windows)
        for i in range(last):
            values = self.transformed(i, values, windows, place)
        step = self.steps[last]
        try:
            values = run_step(step, values, batched=step.batched)
        except AlignmentError as error:
            raise AlignmentError(f"{self.place_of(last)}: {error}") from None
        return {key: feature_like(before.get(key), value[0]) for key, value in values.items() if torch.is_tensor(value)}

    def _relative_keys(self) -> frozenset[str]:
        keys: frozenset[str] = frozenset()
        for step in self.steps:
            keys = step.relative(keys)
        return keys.intersection(self.features)
