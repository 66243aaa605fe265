"""Commands that write datasets, stopped at any moment: nothing half done is seen, and the next run ends well."""

import json
import random
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from robomix.cli.main import VERBS
from tests.fixtures import write_v21, write_v30
from tests.tools.edited import digests
from tests.tools.killing import Commands

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
NOT_WRITERS = {"inspect", "view", "train", "check", "verify", "plan", "stats", "eval", "export"}
"""Commands that write no dataset."""


@dataclass(frozen=True)
class Case:
    """A command that writes a dataset; SOURCE, SECOND, DAMAGED and MIXTURE stand for what it reads."""

    words: str
    out: str = "out"
    by_parts: bool = False
    """Its output is a folder of things that appear one by one, each as a whole."""
    replaces: str | None = None
    """What is in the place of its output before."""
    slower: int = 1
    """It is stopped less often by this factor, for it takes so much longer."""


CASES = {
    "merge": Case("merge SOURCE SECOND"),
    "split": Case("split SOURCE --lists train=0:2 val=2,3"),
    "delete": Case("delete SOURCE --episodes 1"),
    "delete by processes": Case("delete SOURCE --episodes 1 --version=v2.1 --workers=2", slower=5),
    "delete by force": Case("delete SOURCE --episodes 1 --force", replaces="SECOND"),
    "keep": Case("keep SOURCE --episodes 0,2"),
    "trim, which encodes": Case("trim SOURCE --head 3 --codec=h264"),
    "rename": Case("rename SOURCE --features action=control"),
    "drop": Case("drop SOURCE --features observation.state"),
    "tasks": Case("tasks SOURCE --set lift"),
    "shuffle": Case("shuffle SOURCE --seed 3"),
    "convert": Case("convert SOURCE --to v2.1"),
    "convert to HDF5": Case("convert SECOND --to robomimic", "out.hdf5"),
    "recompute": Case("recompute SOURCE --cameras"),
    "repair": Case("repair DAMAGED --apply"),
    "materialize as video": Case("materialize MIXTURE --size 32 --as video", by_parts=True),
    "materialize as frames": Case("materialize MIXTURE --size 32 --as frames", by_parts=True),
}


def test_every_command_that_writes_datasets_is_stopped() -> None:
    """A new verb belongs into CASES, or among those that write none."""
    assert {case.words.split()[0] for case in CASES.values()} | NOT_WRITERS == set(VERBS)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    server = Commands(tmp_path_factory.mktemp("commands"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of datasets to be read: never written to."""
    root = tmp_path_factory.mktemp("sources")
    cameras = {"observation.images.top": (48, 64)}
    write_v30(root / "SOURCE", lengths=(8, 6, 7, 9), gop=1, cameras=cameras, tasks=["a", "b", "a", "b"])
    write_v21(root / "SECOND", lengths=(5, 6), gop=1, cameras=cameras, tasks=["c", "c"], seed=1)
    write_v30(root / "DAMAGED", lengths=(8, 6), gop=1, cameras=cameras)
    info = json.loads((root / "DAMAGED/meta/info.json").read_text())
    (root / "DAMAGED/meta/info.json").write_text(json.dumps(info | {"total_frames": 3}))
    entries = [{"root": str(root / name)} for name in ("SOURCE", "SECOND")]
    (root / "MIXTURE").with_suffix(".yaml").write_text(json.dumps({"dataset": {"datasets": entries}}))
    return root


def words(case: Case, sources: Path, out: Path) -> list[str]:
    names = {name: str(sources / name) for name in ("SOURCE", "SECOND", "DAMAGED")}
    names["MIXTURE"] = str(sources / "MIXTURE.yaml")
    return [*(names.get(word, word) for word in case.words.split()), f"--out={out / case.out}"]


def shown(out: Path) -> dict[str, str]:
    """What can be seen below `out`, without what has a hidden name."""
    if out.is_file():
        return digests(out.parent)
    found = digests(out) if out.exists() else {}
    return {name: digest for name, digest in found.items() if not name.startswith(".")}


def assert_whole(found: dict[str, str], old: dict[str, str], new: dict[str, str], case: Case) -> None:
    """What was there before or all of the new; or, where that comes by parts, all of some of them."""
    if not case.by_parts:
        assert found in (old, new)
        return
    parts = {name.split("/")[0] for name in found}
    assert found == {name: digest for name, digest in new.items() if name.split("/")[0] in parts}


def prepare(out: Path, case: Case, sources: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    if case.replaces is not None:
        shutil.copytree(sources / case.replaces, out / case.out)


def stop_often(case: Case, commands: Commands, sources: Path, tmp_path: Path, times: int) -> None:
    out, before = tmp_path / "folder", digests(sources)
    for _ in range(2):  # the second is as fast as those that are stopped: caches are filled
        prepare(out, case, sources)
        old = shown(out / case.out)
        ended = commands.run(*words(case, sources, out))
        assert ended.code == 0, ended.output
    new, draw = shown(out / case.out), random.Random(case.words)
    for i in range(max(1, times // case.slower)):
        prepare(out, case, sources)
        stop = SIGNALS[i % len(SIGNALS)]
        stopped = commands.run(*words(case, sources, out), stop=stop, after=draw.uniform(0, ended.seconds))
        assert stopped.code in (0, -stop, 130), stopped.output
        assert not stopped.left
        assert digests(sources) == before
        found = shown(out / case.out)
        assert_whole(found, old, new, case)
        if found == old or case.by_parts:
            again = commands.run(*words(case, sources, out))
            assert again.code == 0, again.output
            assert shown(out / case.out) == new
            assert [path.name for path in out.rglob(".*.partial")] == []
    assert digests(sources) == before


@pytest.mark.parametrize("name", CASES)
def test_a_command_may_be_stopped_at_any_moment(name: str, commands: Commands, sources: Path, tmp_path: Path) -> None:
    stop_often(CASES[name], commands, sources, tmp_path, 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_command_may_be_stopped_at_many_moments(name: str, commands: Commands, sources: Path, tmp_path: Path) -> None:
    stop_often(CASES[name], commands, sources, tmp_path, 50)
