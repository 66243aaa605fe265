"""Commands that write datasets, stopped at any moment: nothing half done is seen, and the next run ends well."""

import random
import signal
from pathlib import Path
from typing import Any

import pytest

from robomix.cli.main import VERBS
from tests.tools.edited import digests
from tests.tools.killing import Commands, Ended
from tests.tools.writers import CASES, Case, assert_whole, hidden, prepare, shown, words, write_sources

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
NOT_WRITERS = {"inspect", "view", "train", "check", "verify", "plan", "stats", "eval", "export", "push", "bench"}
"""Commands that write no dataset."""


def test_every_command_that_writes_datasets_is_stopped() -> None:
    """A new verb belongs into CASES, or among those that write none."""
    assert {case.words.split()[0] for case in CASES.values()} | NOT_WRITERS == set(VERBS)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of datasets to be read: never written to."""
    root = tmp_path_factory.mktemp("sources")
    write_sources(root)
    return root


class Stopping:
    """Runs a command again and again, stopped each time at another moment."""

    def __init__(self, case: Case, commands: Commands, sources: Path, out: Path) -> None:
        self.case, self.commands, self.sources, self.out = case, commands, sources, out
        self.words, self.before = words(case, sources, out), digests(sources)
        self.whole = self._not_stopped()
        self.new = shown(out / case.out)
        self.draw = random.Random(case.words)

    def _not_stopped(self) -> Ended:
        for _ in range(2):  # the second is as fast as those that are stopped: caches are filled
            prepare(self.out, self.case, self.sources)
            self.old = shown(self.out / self.case.out)
            ended = self.commands.run(*self.words, within=self.out)
            assert ended.code == 0, ended.output
        return ended

    def stop(self, number: signal.Signals, **moment: Any) -> None:
        """Stops it once; what then lies there is as it should be, and the next run ends well."""
        prepare(self.out, self.case, self.sources)
        stopped = self.commands.run(*self.words, within=self.out, **moment)
        assert stopped.code in (0, -number, 130), stopped.output
        assert not stopped.left
        found = shown(self.out / self.case.out)
        assert_whole(found, self.old, self.new, self.case)
        if found == self.old or self.case.by_parts:
            again = self.commands.run(*self.words)
            assert again.code == 0, again.output
            assert shown(self.out / self.case.out) == self.new
            assert hidden(self.out) == []
        assert digests(self.sources) == self.before


@pytest.fixture
def stopping(name: str, commands: Commands, sources: Path, tmp_path: Path) -> Stopping:
    return Stopping(CASES[name], commands, sources, tmp_path / "folder")


@pytest.mark.parametrize("name", CASES)
def test_a_command_may_be_stopped_at_any_change_it_makes(stopping: Stopping) -> None:
    assert stopping.whole.changes > len(SIGNALS)
    for stop, at in zip(SIGNALS, stopping.draw.sample(range(stopping.whole.changes), len(SIGNALS)), strict=True):
        stopping.stop(stop, at=at + 1, argument=stop)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_command_may_be_stopped_at_every_change_it_makes(stopping: Stopping) -> None:
    for at in range(0, stopping.whole.changes, stopping.case.slower):
        stop = SIGNALS[at % len(SIGNALS)]
        stopping.stop(stop, at=at + 1, argument=stop)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_command_may_be_stopped_at_many_moments(stopping: Stopping) -> None:
    for i in range(50 // stopping.case.slower):
        stop = SIGNALS[i % len(SIGNALS)]
        stopping.stop(stop, stop=stop, after=stopping.draw.uniform(0, stopping.whole.seconds))
