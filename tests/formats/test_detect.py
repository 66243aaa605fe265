"""`open_dataset` says what it found where there is no dataset it knows."""

import os
from pathlib import Path

import pytest

from robomix.errors import FormatError
from robomix.files import scan
from robomix.formats import open_dataset
from tests.fixtures import write_v21


def test_a_missing_path_suggests_a_neighbour(tmp_path: Path) -> None:
    (tmp_path / "so100_pick").mkdir()
    with pytest.raises(FormatError, match=r"so100_pik does not exist, expected a dataset. Did you mean 'so100_pick'\?"):
        open_dataset(tmp_path / "so100_pik")
    with pytest.raises(FormatError, match="no/where does not exist"):
        open_dataset(tmp_path / "no" / "where")


def test_a_file_an_empty_folder_and_another_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(bytes(1234))
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos" / "summer").mkdir(parents=True)
    (tmp_path / "photos" / "a.jpg").touch()
    known = r"It reads .*LeRobot v2.0, v2.1, v3.0 \(a folder with meta/info.json\)"
    for name, seen in {
        "file.bin": "it is a file of 1,234 bytes, not a folder",
        "empty": "the folder is empty",
        "photos": "the folder holds a.jpg, summer/",
    }.items():
        with pytest.raises(FormatError, match=f"{name} is not a dataset robomix knows: {seen}. {known}"):
            open_dataset(tmp_path / name)


def test_a_dataset_one_folder_away_is_pointed_out(tmp_path: Path) -> None:
    root = write_v21(tmp_path / "me" / "pick", cameras={}).path
    for place in (root / "meta", root.parent):
        with pytest.raises(FormatError, match=f"but {root} is one"):
            open_dataset(place)


def test_text_relative_and_home_paths_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_v21(tmp_path / "pick", cameras={}).path
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_dataset(str(root)).path == open_dataset("pick").path == open_dataset("~/pick").path == root


def test_scanning_skips_hidden_files_dead_links_and_loops(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.parquet").write_bytes(b"12345")
    (data / "._a.parquet").touch()
    (data / "dead.parquet").symlink_to(tmp_path / "nowhere")
    (data / "loop").symlink_to(data)
    os.mkfifo(data / "pipe")
    listing = scan(tmp_path, ["data", "videos"])
    assert listing.files["data/a.parquet"][0] == 5
    assert {Path(name).name for name in listing.files} == {"a.parquet"}
    assert len(listing.files) < 10
