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

from robomix.errors import AlignmentError, RobomixError, did_you_mean
from robomix.features import ACTION, Feature, sample_feature
from robomix.mixture.source import Source
from robomix.mixture.transforms.windows import Window, pick


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
        wanted = [key for key in (*self._inputs, ACTION) if key in source.features]
        self._windows = source.windows_for(dict.fromkeys(wanted))
        self._recorded = source.mapped_keys()
        self._check_windows()
        self._undo = self._inverses()
        furthest = min((step for window in self._windows[0].values() for step in window or ()), default=0)
        self._past: deque[dict[str, Tensor]] = deque(maxlen=1 - furthest)
        self._step = 0
        self._seen: list[dict[str, Tensor]] = []
        self._at_chunk_start: list[dict[str, Tensor]] = []
        self._width = source.features[ACTION].valid_dim
        self._try_out()

    @property
    def observations(self) -> dict[str, Feature]:
        """What `observe` must be given: the dataset's own keys and features."""
        keys = [key for key in self._windows[0] if not _unknown_at_run_time(key)]
        return {self._recorded[key]: self.source.dataset.features[self._recorded[key]] for key in keys}

    def reset(self) -> None:
        """An episode begins."""
        self._past.clear()
        self._step = 0

    def observe(self, observation: Mapping[str, Tensor], tasks: Sequence[str] | None = None) -> dict[str, Any]:
        """What the policy is to see, key to (n, *shape) of the mixture, and `task`, a list of n texts.

        `observation` has (n, *shape) for all of `observations`, cameras as uint8 (n, C, H, W); others are ignored.
        `tasks` are the instructions of the robots, used where the dataset has not one for all of its frames.
        Raises AlignmentError for what is missing or has another shape.
        """
        now = {key: self._given(key, observation) for key in self._windows[0] if not _unknown_at_run_time(key)}
        n = len(next(iter(now.values())))
        self._past.append(now)
        values: dict[str, Any] = {key: self._read(key, window, n) for key, window in self._windows[0].items()}
        values["task"] = self._tasks(tasks, n)
        seen = []
        for i in range(len(self._undo)):
            seen.append(self._observed(values, i))
            values = self.source.transformed(i, values, self._windows)
        self._seen = seen
        if self._step % self.n_action_steps == 0:
            self._at_chunk_start = seen
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
        for i in reversed(range(len(self._undo))):
            step = self._undo[i]
            if step is None:
                continue
            relative = self.source.transforms[i].relative(frozenset()).intersection(made)
            context = (self._at_chunk_start if relative else self._seen)[i]
            try:
                result = step({**context, **made})
            except RobomixError as error:
                raise AlignmentError(f"{self._where(i)}, undone for the policy's actions: {error}") from None
            made = {key: value for key, value in result.items() if key not in context}
        return torch.cat([value if value.ndim == 2 else value[:, None] for value in made.values()], dim=1)

    def _check_windows(self) -> None:
        for key, window in self._windows[0].items():
            if not _unknown_at_run_time(key) and max(window or (0,)) > 0:
                raise AlignmentError(
                    f"source {self.source.name!r} cannot be run live: its transforms make observations of frames "
                    f"{window} of {key!r}, and those after 0 have not happened yet."
                )

    def _inverses(self) -> list[Any]:
        undo = []
        for i, step in enumerate(self.source.transforms):
            try:
                undo.append(step.inverse())
            except RobomixError as error:
                raise AlignmentError(f"{self._where(i)}: {error}") from None
        return undo

    def _try_out(self) -> None:
        rows = self.source.frames.first_rows[:1]
        recorded = {
            key: torch.from_numpy(np.array(self._recorded_frame(key, feature, rows)))
            for key, feature in self.observations.items()
        }
        self.observe(recorded)
        self.act(torch.zeros(1, self._width))
        self.reset()

    def _recorded_frame(self, key: str, feature: Feature, rows: np.ndarray) -> np.ndarray:
        dataset = self.source.dataset
        return dataset.read_frames(key, rows) if feature.is_camera else dataset.column(key)[rows]

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
        if tuple(value.shape[1:]) != feature.shape:
            raise AlignmentError(
                f"source {self.source.name!r} has {recorded!r} of shape {feature.shape}, and is given an observation "
                f"of shape {tuple(value.shape[1:])}. The environment must be set up as it was for the recording."
            )
        return value.to(getattr(torch, sample_feature(key, feature).dtype))

    def _read(self, key: str, window: Window, n: int) -> Tensor:
        """A window of the past, which before the episode is its first frame; zeros of what is not known yet."""
        if _unknown_at_run_time(key):
            feature = sample_feature(key, self.source.dataset.features[self._recorded[key]])
            lead = (n,) if window is None else (n, len(window))
            return torch.zeros(*lead, *feature.shape, dtype=getattr(torch, feature.dtype))
        if window is None:
            return self._past[-1][key]
        last = len(self._past) - 1
        return torch.stack([self._past[max(0, last + step)][key] for step in window], dim=1)

    def _observed(self, values: Mapping[str, Any], i: int) -> dict[str, Tensor]:
        """The observations of the present moment that transform `i` is given: what its inverse may refer to."""
        windows = self._windows[i]
        return {
            key: pick(value, windows[key], None)
            for key, value in values.items()
            if key in windows and not _unknown_at_run_time(key)
        }

    def _tasks(self, tasks: Sequence[str] | None, n: int) -> list[str]:
        known = self.source.tasks
        return [known[0]] * n if len(known) == 1 or tasks is None else list(tasks)

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

    def _where(self, i: int) -> str:
        return f"source {self.source.name!r}, transforms[{i}] ({self.source.config.transforms[i].type})"


def _unknown_at_run_time(key: str) -> bool:
    """Whether a feature says what comes after the observation."""
    return key == ACTION or key.startswith((f"{ACTION}.", "next."))
