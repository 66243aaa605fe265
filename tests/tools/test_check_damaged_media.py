"""Whatever videos, tables and HDF5 files hold, `check` ends with findings, never with an error of Python."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from robomix.tools.check.finding import Depth
from robomix.tools.check.run import check
from tests.fixtures import write_v21, write_v30
from tests.hdf5_files import write_aloha, write_robomimic

ROUNDS = 25
SETS: dict[str, Callable[[Path], object]] = {
    "v2.1": write_v21,
    "v3.0": lambda path: write_v30(path, b_frames=2),
    "robomimic": lambda path: write_robomimic(path / "demo.hdf5", cameras=["agentview"], masks={"train": [0]}),
    "ALOHA": write_aloha,
}


@pytest.mark.parametrize("write", SETS.values(), ids=SETS)
def test_any_byte_of_the_files_may_be_anything(write: Callable[[Path], object], tmp_path: Path) -> None:
    write(tmp_path / "sound")
    chance = random.Random(0)
    for _ in range(ROUNDS):
        shutil.copytree(tmp_path / "sound", tmp_path / "set")
        file = chance.choice(
            [f for f in sorted((tmp_path / "set").rglob("*")) if f.suffix in (".mp4", ".parquet", ".hdf5")]
        )
        content = bytearray(file.read_bytes())
        if chance.random() < 0.3:
            content = content[: chance.randrange(len(content))]
        else:
            for _ in range(chance.choice([1, 10, 100])):
                content[chance.randrange(len(content))] = chance.randrange(256)
        file.write_bytes(content)
        assert check(tmp_path / "set", Depth.DECODE).checked
        shutil.rmtree(tmp_path / "set")
