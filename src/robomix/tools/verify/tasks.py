"""Which task each sample must have, worked out of the dataset's own rows and the source's prompt."""

import numpy as np

from robomix.mixture.dataset import Mixture
from robomix.mixture.source import Source
from robomix.tools.verify.expected import Expected


class Tasks:
    """The tasks of the samples of `mixture`."""

    def __init__(self, mixture: Mixture, expected: Expected) -> None:
        self._sources = mixture.sources
        self._expected = expected
        merged = {text: i for i, text in enumerate(dict.fromkeys(t for s in mixture.sources for t in s.tasks))}
        self._index = [np.array([merged[text] for text in source.tasks]) for source in mixture.sources]
        self._texts: dict[tuple[int, int], frozenset[str]] = {}

    def of(self, source: int, episode: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """(n,) int64: positions among the tasks of `source`; `episode` (n,) counts through the mixture."""
        if self._sources[source].config.lang is not None:
            return np.zeros(len(frame), dtype=np.int64)
        rows = self._expected.first_row(source, episode) + frame
        return np.asarray(self._sources[source].dataset.task_indices()[rows])

    def index(self, source: int) -> np.ndarray:
        """`task_index` of each task of `source`: tasks are merged by their text, in the order of sources."""
        return self._index[source]

    def are_known(self, source: int, task: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """(n,) bool: whether `texts` (n,) are among those that samples of `source` have for their `task` (n,).

        All are, where a transform of the user's own might change the text.
        """
        if not keeps_text(self._sources[source]):
            return np.ones(len(task), dtype=bool)
        return np.array([text in self._of(source, t) for t, text in zip(task.tolist(), texts, strict=True)], dtype=bool)

    def _of(self, source: int, task: int) -> frozenset[str]:
        if (source, task) not in self._texts:
            self._texts[source, task] = renderings(self._sources[source], self._sources[source].tasks[task])
        return self._texts[source, task]


def renderings(source: Source, task: str) -> frozenset[str]:
    """All texts that samples of `source` may have for the recorded `task`."""
    prompt = source.prompt
    count = 1 if prompt is None else len(prompt.templates) * len(prompt.paraphrases.get(task, (task,)))
    return frozenset(source.text_of(task, number) for number in range(count))


def keeps_text(source: Source) -> bool:
    """Whether no transform of `source` can change the task: robomix's own do not."""
    return all(type(step).__module__.startswith("robomix.") for step in source.transforms)
