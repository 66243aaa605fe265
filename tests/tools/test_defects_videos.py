"""`check` names each defect of videos that is put into a clean dataset, and nothing else."""

from pathlib import Path

import pytest

from tests.defects.corpus import Injection, assert_found, case_name, cases
from tests.defects.videos import INJECTIONS


@pytest.mark.parametrize(("one", "version"), cases(INJECTIONS), ids=case_name)
def test_the_defect_is_found_and_no_other(one: Injection, version: str, tmp_path: Path) -> None:
    assert_found(one, version, tmp_path / "dataset")
