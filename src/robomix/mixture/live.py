"""A source's robot as it runs: its observations become samples of the mixture, and the policy's actions its own again.

What a training sees of a source has gone through `feature_map`, transforms and padding. A robot or a simulator speaks
the dataset's own language, so its observations take the same way, together with those before them where a step looks
back; the policy's actions go through the inverses of the steps, the last step first.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from robomix.errors import AlignmentError, did_you_mean
from robomix.features import ACTION, Feature, sample_feature
from robomix.mixture.source import Source
from robomix.mixture.steps import run_step
from robomix.mixture.transforms.pictures import ResizeImages
from robomix.mixture.transforms.windows import Window, Windows, covered, pick
from robomix.mixture.undoing import undoing


class LiveSource:
    """One or several copies of a source's robot, stepped together: `reset`, then `observe` and `act` in turns.

    `windows` says which frames of which of the dataset's features an observation is made of.
    """

    def __init__(self, source: Source, inputs: Mapping[str, Feature], *, n_action_steps: int = 1) -> None:
        """Takes one recorded frame there and back, so that what does not work is told before anything moves.

        Args:
            source: the dataset the robot belongs to, with its map and transforms.
            inputs: the observations the policy takes, by the mixture's names, as wide as it takes them.
            n_action_steps: how many actions of each chunk the policy executes before it looks again.

        Raises:
            AlignmentError: where observations need frames of the future, or actions cannot be brought back.
        """
        if ACTION not in source.features:
            here = ", ".join(source.features)
            raise AlignmentError(f"source {source.name!r} has no {ACTION!r} that could be executed, only {here}")
        self.source = source
        self.n_action_steps = n_action_steps
        self._inputs = dict(inputs)
        self._undos, self._told = undoing(source)
        self._windows = self._windows_of_observations()
        self._recorded = source.mapped_keys()
        self._check_windows()
        self._placeholders = {key: self._first_frame(key) for key in self._windows[0] if self._comes_later(key)}
        furthest = min((step for window in self._windows[0].values() for step in window or ()), default=0)
        self._past: deque[dict[str, Tensor]] = deque(maxlen=1 - furthest)
        self._step = 0
        self._seen: list[dict[str, Tensor]] = []
        self._at_plan_start: list[dict[str, Tensor]] = []
        self._width = source.features[ACTION].valid_dim
        self._try_out()

    @property
    def observations(self) -> dict[str, Feature]:
        """What `observe` must be given: the dataset's own keys and features."""
        keys = [key for key in self._windows[0] if not self._comes_later(key)]
        return {self._recorded[key]: self.source.dataset.features[self._recorded[key]] for key in keys}

    def reset(self) -> None:
        """An episode begins."""
        self._past.clear()
        self._step = 0

    def observe(self, observation: Mapping[str, Tensor], tasks: Sequence[str] | None = None) -> dict[str, Any]:
        """What the policy is to see, key to (n, *shape) of the mixture, and `task`, a list of n texts.

        `observation` has (n, *shape) for all of `observations`, cameras as uint8 (n, C, H, W); others are ignored.
        `tasks` are the instructions of the robots, used where the dataset has not one for all of its frames; either are
        put as the source's `prompt` has it, in the first of its texts.
        Raises AlignmentError for what is missing or has another shape.
        """
        now = {key: self._given(key, observation) for key in self._windows[0] if not self._comes_later(key)}
        n = len(next(iter(now.values())))
        self._past.append(now)
        values: dict[str, Any] = {key: self._read(key, window, n) for key, window in self._windows[0].items()}
        values["task"] = self._tasks(tasks, n)
        self._seen = []
        for i, undo in enumerate(self._undos):
            self._seen.append({key: pick(values[key], self._windows[i][key], None) for key in undo.refers_to})
            values = self.source.transformed(i, values, self._windows)
        if self._step % self.n_action_steps == 0:
            self._at_plan_start = self._seen
        self._step += 1
        aligned = {key: self._aligned(key, values.get(key), n) for key in self._inputs}
        return aligned | {"task": values["task"]}

    def act(self, action: Tensor) -> Tensor:
        """The dataset's own actions (n, a) of the policy's (n, A), for the latest observation.

        Raises AlignmentError before the first observation.
        """
        if not self._past:
            raise AlignmentError(f"source {self.source.name!r}: act was called before observe")
        made = {ACTION: action[:, : self._width].float()}
        for i, undo in reversed(list(enumerate(self._undos))):
            if undo.step is None:
                continue
            context = (self._at_plan_start if undo.at_plan_start else self._seen)[i]
            sample = {**context, **made, "task": [""] * len(action)}
            try:
                result = run_step(undo.step, sample, batched=undo.step.batched)
            except AlignmentError as error:
                where = self.source.place_of(i)
                raise AlignmentError(f"{where}, undone for the policy's actions: {error}") from None
            made = {key: value for key, value in result.items() if key not in context and key != "task"}
        return torch.cat([value if value.ndim == 2 else value[:, None] for value in made.values()], dim=1)

    def _windows_of_observations(self) -> list[Windows]:
        """What each transform is given for the policy's inputs and for what inverses refer to; last, the inputs."""
        windows: list[Windows] = [dict.fromkeys(key for key in self._inputs if key in self.source.features)]
        for i, undo in reversed(list(enumerate(self._undos))):
            before = self.source.windows_before(i, windows[0])
            windows.insert(0, covered(before, dict.fromkeys(undo.refers_to)))
        return windows

    def _check_windows(self) -> None:
        for key, window in self._windows[0].items():
            if not self._comes_later(key) and max(window or (0,)) > 0:
                raise AlignmentError(
                    f"source {self.source.name!r} cannot be run live: its transforms make observations of frames "
                    f"{window} of {key!r}, and those after 0 have not happened yet."
                )

    def _try_out(self) -> None:
        self.observe({self._recorded[key]: self._first_frame(key) for key in self._windows[0] if key in self._recorded})
        part = self.source.begin(np.zeros(1, np.int64), {}, [ACTION])
        for job in part.jobs:
            job()
        self.act(self.source.finish(part)[ACTION])
        self.reset()

    def _first_frame(self, key: str) -> Tensor:
        """(1, *shape): what the source has recorded of `key` at its first frame."""
        dataset, recorded, rows = self.source.dataset, self._recorded[key], self.source.frames.first_rows[:1]
        is_camera = dataset.features[recorded].is_camera
        return torch.from_numpy(
            np.array(dataset.read_frames(recorded, rows) if is_camera else dataset.column(recorded)[rows])
        )

    def _comes_later(self, key: str) -> bool:
        """Whether a feature of the dataset is not known yet when a robot observes."""
        return key in self._told or key.startswith(f"{ACTION}.") or key.startswith("next.")

    def _given(self, key: str, observation: Mapping[str, Tensor]) -> Tensor:
        """What was observed of a feature of the dataset, as samples hold it."""
        recorded = self._recorded[key]
        feature = self.source.dataset.features[recorded]
        if recorded not in observation:
            raise AlignmentError(
                f"source {self.source.name!r} needs the observation {recorded!r}, as in {self.source.dataset.path}, "
                f"and is given {', '.join(observation) or 'none'}.{did_you_mean(recorded, observation)} Where the "
                f"environment has another name for it: `env: {{rename_map: {{ITS_NAME: {recorded}}}}}`."
            )
        value = observation[recorded]
        if tuple(value.shape[1:]) != feature.shape and not self._is_resized(feature, tuple(value.shape[1:])):
            raise AlignmentError(
                f"source {self.source.name!r} has {recorded!r} of shape {feature.shape}, and is given an observation "
                f"of shape {tuple(value.shape[1:])}. The environment must be set up as it was for the recording."
            )
        if value.is_floating_point() and not value.isfinite().all():
            raise AlignmentError(f"source {self.source.name!r}: the observation {recorded!r} is NaN or infinite")
        return value.to(getattr(torch, self._feature(key).dtype))

    def _is_resized(self, feature: Feature, shape: tuple[int, ...]) -> bool:
        """Whether pictures of `shape` are resized first of all to what the dataset's have been resized to on the disk
        (`mixture.materialized`), so that the robot's are as large as they were recorded.
        """
        first = self.source.transforms[0] if self.source.transforms else None
        is_small = isinstance(first, ResizeImages) and feature.is_camera and list(feature.shape[1:]) == first.size
        return is_small and len(shape) == 3 and shape[0] == feature.shape[0]

    def _read(self, key: str, window: Window, n: int) -> Tensor:
        """A window of the past, which before the episode is its first frame; something recorded of what comes later."""
        if key in self._placeholders:
            value = self._placeholders[key].to(getattr(torch, self._feature(key).dtype))
            value = value.expand(n, *value.shape[1:])
            return value if window is None else torch.stack([value] * len(window), dim=1)
        if window is None:
            return self._past[-1][key]
        last = len(self._past) - 1
        return torch.stack([self._past[max(0, last + step)][key] for step in window], dim=1)

    def _feature(self, key: str) -> Feature:
        return sample_feature(key, self.source.dataset.features[self._recorded[key]])

    def _tasks(self, tasks: Sequence[str] | None, n: int) -> list[str]:
        known = self.source.tasks
        recorded = [known[0]] * n if len(known) == 1 or tasks is None else list(tasks)
        return [self.source.text_of(task) for task in recorded]

    def _aligned(self, key: str, value: Tensor | None, n: int) -> Tensor:
        """`value` as the policy takes `key`: zero-padded at the end, all zeros where the source has no such thing."""
        feature = self._inputs[key]
        if value is None:
            return torch.zeros(n, *feature.shape, dtype=getattr(torch, feature.dtype))
        if feature.is_vector and value.ndim == 2 and value.shape[1] <= feature.shape[0]:
            return functional.pad(value, (0, feature.shape[0] - value.shape[1]))
        if tuple(value.shape[1:]) != feature.shape:
            raise AlignmentError(
                f"source {self.source.name!r}: the policy takes {key!r} of shape {feature.shape}, its transforms give "
                f"{tuple(value.shape[1:])}. Use the mixture file that the policy was trained with."
            )
        return value
