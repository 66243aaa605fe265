"""Full disks, missing permissions, sources that change: said clearly, nothing half done, and the next run is well."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.edited import digests
from tests.tools.killing import Commands, Ended
from tests.tools.writers import CASES, Case, assert_whole, hidden, prepare, shown, words, write_sources

KINDS = (
    "merge",
    "split",
    "delete by processes",
    "trim, which encodes",
    "convert v3.0 to v2.1",
    "convert to HDF5",
    "convert from zarr",
    "repair HDF5",
    "materialize as video",
    "materialize as frames",
)
"""Commands that write in ways of their own."""
DISK = 8 << 20
"""Bytes of a disk that is filled."""
CHANGED = {
    "merge": "SOURCE/videos/observation.images.top/chunk-000/file-000.mp4",
    "delete": "SOURCE/data/chunk-000/file-000.parquet",
    "convert v2.1 to v3.0": "SECOND/data/chunk-000/episode_000001.parquet",
    "convert to HDF5": "SECOND/videos/chunk-000/observation.images.top/episode_000001.mp4",
    "convert from HDF5": "DEMOS.hdf5",
    "convert from zarr": "REPLAY.zarr/data/img/0.0.0.0",
    "convert from RLDS": "RLDS/toy-train.tfrecord-00001-of-00002",
    "repair": "DAMAGED/data/chunk-000/file-000.parquet",
    "repair HDF5": "WRONG.hdf5",
    "materialize as video": "SOURCE/videos/observation.images.top/chunk-000/file-000.mp4",
    "materialize as frames": "SOURCE/videos/observation.images.top/chunk-000/file-000.mp4",
}
"""Commands that read in ways of their own, and a file that each reads."""


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("originals")
    write_sources(root)
    return root


@pytest.fixture
def sources(originals: Path, tmp_path: Path) -> Path:
    """The datasets to be read; mixtures name them where they lie."""
    root = tmp_path / "sources"
    shutil.copytree(originals, root)
    mixture = root / "MIXTURE.yaml"
    mixture.write_text(mixture.read_text().replace(str(originals), str(root)))
    return root


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk to be filled cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def undisturbed(case: Case, commands: Commands, sources: Path, out: Path) -> tuple[Ended, dict[str, str]]:
    prepare(out, case, sources)
    ended = commands.run(*words(case, sources, out), within=out)
    assert ended.code == 0, ended.output
    return ended, shown(out / case.out)


def assert_refused(ended: Ended, case: Case, out: Path, new: dict[str, str]) -> None:
    """It says in plain words why it has not done what it was asked for, and nothing half done is seen."""
    assert ended.code == 2, ended.output
    assert "error: " in ended.output or "refused" in ended.output
    assert "Traceback" not in ended.output
    assert not ended.left
    assert_whole(shown(out / case.out), {}, new, case)


def fill_up(name: str, commands: Commands, sources: Path, out: Path, deed: str, argument: object) -> None:
    """Fills the disk at some moments; then there is room again."""
    case, before = CASES[name], digests(sources)
    whole, new = undisturbed(case, commands, sources, out)
    draw, failed = random.Random(name), 0
    for at in draw.sample(range(1, whole.changes), 2):
        prepare(out, case, sources)
        ended = commands.run(*words(case, sources, out), within=out, at=at, deed=deed, argument=argument)
        if deed == "fill":
            Path(str(argument)).unlink(missing_ok=True)
        if ended.code != 0:
            failed += 1
            assert_refused(ended, case, out, new)
            assert "No space left" in ended.output or "File too large" in ended.output, ended.output
        if shown(out / case.out) != new:
            again = commands.run(*words(case, sources, out))
            assert again.code == 0, again.output
        assert shown(out / case.out) == new
        assert hidden(out) == []
        assert digests(sources) == before
    assert failed


@pytest.mark.parametrize("name", KINDS)
def test_a_quota_that_is_used_up_is_told(name: str, commands: Commands, sources: Path, tmp_path: Path) -> None:
    fill_up(name, commands, sources, tmp_path / "folder", "limit", 100)


@pytest.mark.parametrize("name", KINDS)
def test_a_full_disk_is_told(name: str, commands: Commands, sources: Path, small_disk: Path) -> None:
    fill_up(name, commands, sources, small_disk / "folder", "fill", str(small_disk / "filler"))


@pytest.mark.parametrize("name", CASES)
def test_a_place_that_may_not_be_written_to_is_refused(
    name: str, commands: Commands, sources: Path, tmp_path: Path
) -> None:
    case, out, before = CASES[name], tmp_path / "folder", digests(sources)
    prepare(out, case, sources)
    old = shown(out / case.out)
    out.chmod(0o500)
    ended = commands.run(*words(case, sources, out), within=out, at=0, deed="give_up_powers")
    out.chmod(0o700)
    assert_refused(ended, case, out, old)
    assert "may not be written to" in ended.output or "Permission denied" in ended.output
    assert hidden(out) == []
    assert digests(sources) == before


@pytest.mark.parametrize("deed", ["truncate", "append", "replace"])
@pytest.mark.parametrize("name", CHANGED)
def test_a_source_that_changes_underneath_is_told(
    name: str, deed: str, commands: Commands, sources: Path, tmp_path: Path
) -> None:
    case, out, path = CASES[name], tmp_path / "folder", sources / CHANGED[name]
    _, new = undisturbed(case, commands, sources, out)
    prepare(out, case, sources)
    old = path.read_bytes()
    ended = commands.run(*words(case, sources, out), within=out, at=2, deed=deed, argument=str(path))
    assert path.read_bytes() != old
    assert_refused(ended, case, out, new)
    assert path.name in ended.output or str(path.parent) in ended.output
    path.write_bytes(old)
    again = commands.run(*words(case, sources, out))
    assert again.code == 0, again.output
    assert shown(out / case.out) == new
    assert hidden(out) == []


@pytest.mark.parametrize("name", ["delete", "split", "convert to HDF5", "materialize as frames"])
def test_what_a_stopped_build_left_on_the_disk_counts_as_free(
    name: str, commands: Commands, sources: Path, small_disk: Path
) -> None:
    """It is gone on with, or removed, before anything is written."""
    case, out = CASES[name], small_disk / "folder"
    _, new = undisturbed(case, commands, sources, out)
    prepare(out, case, sources)
    target = out / case.out / "SOURCE" if case.by_parts else out / case.out
    left = target.with_name(f".{target.name}.0123456789abcdef.partial")
    left.mkdir(parents=True)
    (left / "most of the disk").write_bytes(bytes(shutil.disk_usage(small_disk).free - 4096))
    ended = commands.run(*words(case, sources, out))
    assert ended.code == 0, ended.output
    assert shown(out / case.out) == new
    assert hidden(out) == []
