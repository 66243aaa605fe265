"""What all writers of datasets do alike: open, take episodes one by one, and publish the whole, or nothing.

A writer is used in a `with` block. What is written lies aside until the block ends without an error (`publish`); then
it is checked and put in its place. An episode that fails halfway ends the dataset, since half of it may be in a file.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from robomix.errors import ConfigError
from robomix.features import Feature
from robomix.formats.write_input import EpisodeInput, check_episode


class EpisodeWriter(ABC):
    """A dataset being written to `path`, an episode at a time."""

    def __init__(self, path: str | Path, features: Mapping[str, Feature]) -> None:
        self.path = Path(path).absolute()
        self.features = dict(features)
        self.lengths: list[int] = []
        """Frames of each episode so far."""
        self.num_frames = 0
        self._stack: ExitStack | None = None
        self._broken = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._begin(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._stack is not None
        stack, self._stack = self._stack, None
        if kind is not None:
            stack.__exit__(kind, error, trace)
            return
        with stack:
            if self._broken or not self.lengths:
                raise ConfigError(
                    f"{self.path} is not written: " + ("an episode failed." if self._broken else "it got no episodes.")
                )
            self._finish()

    @abstractmethod
    def _begin(self, stack: ExitStack) -> None:
        """Open what is written to; `stack` closes it, and publishes the dataset where there was no error."""

    @abstractmethod
    def _finish(self) -> None:
        """Complete and check the dataset, which has episodes, before it is published."""

    @contextmanager
    def _episode(
        self, columns: Mapping[str, np.ndarray | Iterable[np.ndarray]], task: str | Sequence[str]
    ) -> Iterator[EpisodeInput]:
        """The next episode, checked, for the block that writes it; it counts when the block ends without an error.

        Raises ConfigError, naming key, frame, found and expected, for input that does not fit. If that happens before
        the block, the writer can go on.
        """
        if self._stack is None:
            raise ConfigError(f"The writer of {self.path} is not open: use it in a `with` block.")
        if self._broken:
            raise ConfigError(f"The writer of {self.path} failed inside an episode and cannot go on: start again.")
        checked = check_episode(self.features, columns, task, len(self.lengths))
        self._broken = True  # until the whole episode is in: half of its frames may already be written
        yield checked
        self.lengths.append(checked.length)
        self.num_frames += checked.length
        self._broken = False
