"""A wrong `meta/info.json` is refused with the key, the value and the remedy."""

import re
from pathlib import Path

import pytest

from robomix.errors import FormatError
from robomix.formats import open_dataset
from tests.fixtures import edit_info, replace_by_lfs_pointer, write_v21
from tests.formats.harm import Damage, declared, info, write

NUMBER = {"dtype": "float32", "shape": [3], "names": None}
FLAT = {"dtype": "video", "shape": [32, 48]}
SEVEN = {"dtype": "image", "shape": [32, 48, 7]}
CASES: list[tuple[Damage, str]] = [
    (Path.unlink, "is not a dataset robomix knows: the folder holds data/, meta/"),
    (write("{'fps': 30}"), "is not valid JSON.*Restore"),
    (write("[" * 100_000), "is nested too deeply"),
    (write("[1, 2]"), "holds list, expected a JSON object"),
    (write(""), r"is empty \(0 bytes\)"),
    (lambda file: file.write_bytes(b"\xff\xfe\x00\x01"), "is not text"),
    (write("<!DOCTYPE html><html>Sign in</html>"), "is a web page, not data"),
    (replace_by_lfs_pointer, r"is a Git LFS pointer.*git lfs pull"),
    (info(features=...), "declares no features"),
    (info(features={"action": "float32"}), "declares no features"),
    (info(codebase_version=...), "not a LeRobot dataset: .* no 'codebase_version'"),
    (info(codebase_version="v1.6"), "codebase_version is 'v1.6'; robomix reads v2.0.*convert_dataset_v1"),
    (info(codebase_version="v4.0"), "codebase_version is 'v4.0'; robomix reads v2.0, v2.1, v3.0.*update"),
    (info(storage_format="lance"), "storage_format is 'lance'; robomix reads 'parquet' only"),
    (info(fps=...), "fps is None, expected a positive number"),
    (info(fps=0), "fps is 0, expected a positive number"),
    (info(fps=-30), "fps is -30, expected a positive number"),
    (info(fps="30"), "fps is '30', expected a positive number"),
    (info(fps=True), "fps is True, expected a positive number"),
    (info(fps=float("nan")), "fps is nan, expected a positive number"),
    (info(fps=10**400), "fps is 10+, expected a positive number"),
    (info(fps=1e-9), "fps is 1e-09; fewer than a frame"),
    (info(data_path="../{episode_index:06d}.parquet"), "leads out of the dataset's folder"),
    (info(video_path="/etc/{episode_index}"), "leads out of the dataset's folder"),
    (info(data_path=7), "a path template is 7, expected text"),
    (declared(action=NUMBER | {"shape": "7"}), "'action' has shape '7', expected a list of positive integers"),
    (declared(action=NUMBER | {"shape": [-1]}), r"'action' has shape \[-1\], expected a list"),
    (declared(action=NUMBER), r"column 'action' of .*parquet has 2 values per row, expected 3"),
    (declared(action=NUMBER | {"shape": [10**12]}), "has 2 values per row, expected 1000000000000"),
    (declared(eye=FLAT), r"'eye' has shape \[32, 48\], expected height"),
    (declared(eye=SEVEN), "no axis has the 1, 3 or 4 channels"),
    (declared(action=SEVEN | {"shape": [1, 2, 3]}), "camera 'action' is stored as .*list.*, expected a struct"),
]


@pytest.mark.parametrize(("damage", "message"), CASES, ids=[message for _, message in CASES])
def test_opening_says_what_is_wrong(tmp_path: Path, damage: Damage, message: str) -> None:
    root = write_v21(tmp_path / "set", cameras={}).path
    damage(root / "meta/info.json")
    with pytest.raises(FormatError) as error:
        open_dataset(root)
    assert re.search(message, str(error.value)), str(error.value)
    assert str(root) in str(error.value)


def test_templates_cannot_run_code_or_fill_the_memory(tmp_path: Path) -> None:
    truth = write_v21(tmp_path / "set", cameras={})
    for template in ("data/{episode_index.__class__}", "data/{episode_index:999999999999d}", "data/{0[x]}/{}{"):
        edit_info(truth.path, data_path=template)
        assert open_dataset(truth.path).num_frames == truth.num_frames  # not a known field: found by number instead
