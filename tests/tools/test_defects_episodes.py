"""Each injected defect of family E is named by `check`, and nothing else is."""

from pathlib import Path

import pytest

from tests.defects import corpus, episodes


@pytest.mark.parametrize(("one", "version"), corpus.cases(episodes.INJECTIONS), ids=corpus.case_name)
def test_check_names_the_defect_and_nothing_else(one: corpus.Injection, version: str, tmp_path: Path) -> None:
    corpus.assert_found(one, version, tmp_path / "set")
