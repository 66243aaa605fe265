"""Whatever the files hold, `check` ends with findings, never with an error of Python."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robomix.tools.check.run import check
from tests.damage import edit_info, truncate
from tests.defects.corpus import edit_json
from tests.fixtures import write_v20, write_v21, write_v30

WRITERS = {"v2.0": write_v20, "v2.1": write_v21, "v3.0": write_v30}
ODD: list[Any] = [
    None,
    "x",
    -1,
    1e308,
    float("nan"),
    [],
    {},
    10**30,
    10**400,
    True,
    [[[]]],
    "../../etc",
    [1, "a", None],
]
ROUNDS = 60
CAMERA = "observation.images.top"


@pytest.mark.parametrize("version", WRITERS)
@pytest.mark.parametrize("seed", [1, 2])
def test_any_value_of_the_metadata_may_be_anything(version: str, seed: int, tmp_path: Path) -> None:
    WRITERS[version](tmp_path / "set", cameras={})
    chance = random.Random(seed)
    files = [file for file in sorted((tmp_path / "set/meta").rglob("*")) if file.is_file()]
    sound = {file: file.read_bytes() for file in files}
    for _ in range(ROUNDS):
        file = chance.choice(files)
        spoil(file, chance)
        assert check(tmp_path / "set").checked
        file.write_bytes(sound[file])


def spoil(file: Path, chance: random.Random) -> None:
    """Put an odd value somewhere into a JSON file, or in place of a column of a Parquet file."""
    if file.suffix == ".parquet":
        table = pq.read_table(file)
        place, rows = chance.randrange(table.num_columns), len(table)
        odd = [
            ["x"] * rows,
            [None] * rows,
            [-1] * rows,
            [[1] * i for i in range(rows)],
            [2**63 - 1] * rows,
            [1e300] * rows,
        ]
        pq.write_table(table.set_column(place, table.column_names[place], pa.array(chance.choice(odd))), file)
        return
    texts = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
    rows = [json.loads(text) for text in texts]
    owner, key = chance.choice([spot for row in rows for spot in spots(row)])
    owner[key] = chance.choice(ODD)
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n")


def spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every mapping or list within a value, with each of its keys or places."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from spots(inner)


@pytest.mark.parametrize("version", WRITERS)
def test_any_file_may_be_cut_off(version: str, tmp_path: Path) -> None:
    WRITERS[version](tmp_path / "set")
    for file in [file for file in sorted((tmp_path / "set").rglob("*")) if file.is_file()]:
        sound = file.read_bytes()
        for keep in (0.0, 0.5, 0.95):
            truncate(file, keep)
            assert check(tmp_path / "set").findings
            file.write_bytes(sound)


def test_a_rate_beyond_all_floats_is_a_finding(tmp_path: Path) -> None:
    write_v21(tmp_path / "set")
    edit_info(tmp_path / "set", fps=10**400)
    assert "S06" in {finding.defect.id for finding in check(tmp_path / "set").findings}
    edit_info(tmp_path / "set", fps=10)
    edit_json(
        tmp_path / "set/meta/info.json", lambda info: info["features"][CAMERA]["info"].update({"video.fps": 10**400})
    )
    assert check(tmp_path / "set").findings


def test_a_small_file_that_claims_endless_rows_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_v21(tmp_path / "set", cameras={})
    monkeypatch.setattr("robomix.tools.check.raw.lerobot.MAX_ROWS", 10)
    found = {finding.defect.id: finding.found for finding in check(tmp_path / "set").findings}
    assert "more than 10 rows" in found["E04"]
