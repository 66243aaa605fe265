"""Commands that write datasets, one of each kind, small sources for them, and how their output is looked at."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import h5py

from tests.fixtures import write_v21, write_v30
from tests.hdf5_files import write_robomimic
from tests.rlds_files import write_rlds
from tests.tools.edited import digests
from tests.zarr_files import write_zarr


@dataclass(frozen=True)
class Case:
    """A command that writes a dataset; words in capitals stand for what it reads."""

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
    "convert v3.0 to v2.1": Case("convert SOURCE --to v2.1"),
    "convert v3.0 to v2.0": Case("convert SOURCE --to v2.0"),
    "convert v2.1 to v3.0": Case("convert SECOND --to v3.0"),
    "convert to HDF5": Case("convert SECOND --to robomimic", "out.hdf5"),
    "convert from HDF5": Case("convert DEMOS --to v3.0 --codec=h264"),
    "convert from zarr": Case("convert REPLAY --to v3.0 --fps=5 --storage=image"),
    "convert from RLDS": Case("convert RLDS --to v2.1 --fps=5 --codec=h264"),
    "recompute": Case("recompute SOURCE --cameras"),
    "repair": Case("repair DAMAGED --apply"),
    "repair HDF5": Case("repair WRONG --apply", "out.hdf5"),
    "materialize as video": Case("materialize MIXTURE --size 32 --as video", by_parts=True),
    "materialize as frames": Case("materialize MIXTURE --size 32 --as frames", by_parts=True),
}


def write_sources(root: Path) -> None:
    """The datasets that the commands read, in the folder `root`."""
    cameras = {"observation.images.top": (48, 64)}
    write_v30(root / "SOURCE", lengths=(8, 6, 7, 9), gop=1, cameras=cameras, tasks=["a", "b", "a", "b"])
    write_v21(root / "SECOND", lengths=(5, 6), gop=1, cameras=cameras, tasks=["c", "c"], seed=1)
    write_v30(root / "DAMAGED", lengths=(8, 6), gop=1, cameras=cameras)
    info = json.loads((root / "DAMAGED/meta/info.json").read_text())
    (root / "DAMAGED/meta/info.json").write_text(json.dumps(info | {"total_frames": 3}))
    write_robomimic(root / "DEMOS.hdf5", cameras=("top",), size=(32, 48))
    shutil.copyfile(root / "DEMOS.hdf5", root / "WRONG.hdf5")
    with h5py.File(root / "WRONG.hdf5", "r+") as file:
        file["data"].attrs["total"] = 3
    write_zarr(root / "REPLAY.zarr")
    write_rlds(root / "RLDS", size=(32, 48))
    entries = [{"root": str(root / name)} for name in ("SOURCE", "SECOND")]
    (root / "MIXTURE.yaml").write_text(json.dumps({"dataset": {"datasets": entries}}))


def words(case: Case, sources: Path, out: Path) -> list[str]:
    """The command line, for sources in the folder `sources` and output in the folder `out`."""
    named = {path.stem: str(path) for path in sources.iterdir()}
    return [*(named.get(word, word) for word in case.words.split()), f"--out={out / case.out}"]


def prepare(out: Path, case: Case, sources: Path) -> None:
    """Makes the folder `out` as it is before the command runs."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    if case.replaces is not None:
        shutil.copytree(sources / case.replaces, out / case.out)


def shown(out: Path) -> dict[str, str]:
    """What can be seen below `out`, without what has a hidden name."""
    found = digests(out.parent if out.is_file() else out)
    return {name: digest for name, digest in found.items() if not name.startswith(".")}


def assert_whole(found: dict[str, str], old: dict[str, str], new: dict[str, str], case: Case) -> None:
    """What was there before or all of the new; or, where that comes by parts, all of some of them."""
    if not case.by_parts:
        assert found in (old, new)
        return
    parts = {name.split("/")[0] for name in found}
    assert found == {name: digest for name, digest in new.items() if name.split("/")[0] in parts}


def hidden(out: Path) -> list[str]:
    """Folders of things that are not finished."""
    return [path.name for path in out.rglob(".*.partial")]
