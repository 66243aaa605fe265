"""Damaged HDF5 files end in a FormatError: no crash, no hang, no memory without end."""

import struct
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from robomix.errors import FormatError
from robomix.formats import hdf5_text, open_dataset
from robomix.formats.hdf5_heap import HeapArray
from tests.conftest import PROJECT
from tests.hdf5_files import write_aloha, write_robomimic


def test_a_hundred_damaged_files_are_read_or_refused() -> None:
    """Each in a process of its own, two thirds refused; `python -m tests.formats.fuzz_hdf5 2000` goes on."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.formats.fuzz_hdf5", "100"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'refused'" in done.stdout


def overwrite(path: Path, old: bytes, new: bytes) -> None:
    """Replace the only place in the file where `old` stands."""
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def test_a_text_of_four_gigabytes_is_not_allocated(tmp_path: Path) -> None:
    """The length of env_args, in the row that points to it, is damaged: 4 bytes."""
    path = write_robomimic(tmp_path / "demo.hdf5", env_args={"env_name": "x" * 54321}).path
    overwrite(path, struct.pack("<IQ", 54321 + 16, heap_of(path)), struct.pack("<IQ", 0xFFFFFFFF, heap_of(path)))
    with pytest.raises(FormatError, match="attribute 'env_args' of /data, cannot be read: its text is damaged"):
        open_dataset(path, fps=20)


def heap_of(path: Path) -> int:
    """Where the only large collection of texts in the file begins."""
    content = path.read_bytes()
    found = [i for i in range(0, len(content), 8) if content[i : i + 4] == b"GCOL"]
    return next(i for i in found if int.from_bytes(content[i + 8 : i + 16], "little") > 50000)


def test_a_heap_that_sends_the_library_in_circles_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5_text, "_SECONDS", 3)
    path = tmp_path / "demo.hdf5"
    write_robomimic(path, env_args={"env_name": "x" * 77, "env_kwargs": {}})
    text = 77 + len('{"env_name": "", "env_kwargs": {}}')
    content = bytearray(path.read_bytes())
    place = content.index(b"GCOL")
    size = content.index(struct.pack("<Q", text), place)
    content[size : size + 8] = struct.pack("<Q", 2000)
    path.write_bytes(content)
    with pytest.raises(FormatError, match="its text is damaged"):
        open_dataset(path, fps=20)


def test_values_of_varying_length_equal_those_of_h5py(tmp_path: Path) -> None:
    values = [np.arange(n, dtype=np.uint8) for n in (3, 0, 5000, 1, 70000, 12)]
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for name, chunks in {"whole": None, "chunks": (4,)}.items():
            array = file.create_dataset(name, (6,), h5py.vlen_dtype(np.uint8), chunks=chunks)
            for i, value in enumerate(values):
                array[i] = value
        file["text"] = ["abc", "", "ä" * 9]
        file.create_dataset("packed", (6,), h5py.vlen_dtype(np.uint8), chunks=(4,), compression="gzip")
    with h5py.File(tmp_path / "a.hdf5") as file:
        for name in ("whole", "chunks"):
            ours = HeapArray(file[name], tmp_path / "a.hdf5")
            assert [ours[i] for i in range(6)] == [value.tobytes() for value in values]
        text = HeapArray(file["text"], tmp_path / "a.hdf5")
        assert [text[i].decode() for i in range(3)] == ["abc", "", "ä" * 9]
        with pytest.raises(FormatError, match="values of varying length and is compressed itself"):
            HeapArray(file["packed"], tmp_path / "a.hdf5")


@pytest.mark.parametrize("harm", ["length", "address", "heap"])
def test_a_damaged_picture_of_varying_length_is_named(tmp_path: Path, harm: str) -> None:
    truth = write_aloha(tmp_path / "task", storage="vlen", ids=(0,), lengths=(3,), cameras=["cam"])
    path, key = truth.path / "episode_0.hdf5", "observation.images.cam"
    with h5py.File(path) as file:
        place = file["observations/images/cam"].id.get_offset() + 16 * 2
    content = bytearray(path.read_bytes())
    if harm == "length":
        content[place : place + 4] = struct.pack("<I", 0xFFFFFFF0)
    elif harm == "address":
        content[place + 4 : place + 12] = struct.pack("<Q", 1 << 60)
    else:
        heap = struct.unpack("<Q", content[place + 4 : place + 12])[0]
        content[heap : heap + 4] = b"OOPS"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"points to .* bytes that are not in the file"):
        open_dataset(truth.path, fps=50).read_frames(key, np.array([2]))
