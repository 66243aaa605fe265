"""Entries that tell where a sample is from are constant in a group, and are not normalized away."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from robomix.cli.main import main
from robomix.config import MixtureConfig
from robomix.mixture.alignment import align
from robomix.mixture.condition import condition_of
from robomix.mixture.dataset import Mixture
from robomix.statistics.compute import Stats, mixture_stats
from robomix.statistics.given import config_stats
from robomix.statistics.safe import safe_stats
from tests.fixtures import write_v30
from tests.memory import ArrayDataset, source

STATE, OWN = "observation.state", "observation.embodiment"
NEUTRAL = {"mean": 0, "std": 1, "min": -1, "max": 1, "q01": -1, "q10": -1, "q50": 0, "q90": 1, "q99": 1}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path / "cache"))


def two(**block: Any) -> tuple[Mixture, MixtureConfig]:
    rng = np.random.default_rng(0)
    states = {"a": rng.normal(3, 2, (20, 2)), "b": rng.normal(5, 4, (20, 1))}
    entries = [{"root": name, "name": name} for name in states]
    config = MixtureConfig.from_dict({"datasets": entries, "normalize_by": "source"} | block)
    sources = [
        source(ArrayDataset({STATE: state.astype(np.float32)}, [20]), name, normalize_by=config.normalize_by)
        for name, state in states.items()
    ]
    return Mixture(sources, align(sources, "union", condition_of(config, sources))), config


def entries(stats: Stats, key: str, where: slice) -> dict[str, list[float]]:
    return {name: value[where].tolist() for name, value in stats[key].items() if name != "count"}


def test_what_tells_the_source_has_neutral_statistics_and_the_state_behind_it_its_own() -> None:
    mixture, config = two(condition_on="source")
    for name, of_group in config_stats(mixture, config).items():
        column = mixture.sources["ab".index(name)].dataset.column(STATE)
        own = slice(2, 2 + column.shape[1])
        assert entries(of_group, STATE, slice(2)) == {n: [value] * 2 for n, value in NEUTRAL.items()}
        np.testing.assert_allclose(of_group[STATE]["mean"][own], column.mean(0, dtype=np.float64))
        np.testing.assert_allclose(of_group[STATE]["q99"][own], np.quantile(column.astype(np.float64), 0.99, axis=0))
        assert safe_stats(of_group)[STATE]["std"][:2].tolist() == [1, 1]
    plain, _ = two()
    padded = mixture_stats(mixture)["b"][STATE]
    assert {n: v.tolist() for n, v in mixture_stats(plain)["b"][STATE].items()} == {
        n: v[2:].tolist() if n != "count" else v.tolist() for n, v in padded.items()
    }


def test_a_feature_of_its_own_is_neutral_too() -> None:
    mixture, config = two(condition_on="source", condition_as="index", condition_key=OWN)
    for of_group in config_stats(mixture, config).values():
        assert entries(of_group, OWN, slice(None)) == {name: [value] for name, value in NEUTRAL.items()}


def test_given_statistics_are_those_of_the_robots_own_entries(tmp_path: Path) -> None:
    """As `robomix stats` writes them: nothing of the entries in front is in the files."""
    for name, width in (("a", 2), ("b", 1)):
        (tmp_path / name).mkdir()
        values = {n: [v + 0.5] * width for n, v in NEUTRAL.items()}
        (tmp_path / name / "stats.json").write_text(json.dumps({STATE: values}))
    mixture, config = two(condition_on="source", stats=str(tmp_path))
    stats = config_stats(mixture, config)
    assert stats["a"][STATE]["mean"].tolist() == [0, 0, 0.5, 0.5]
    assert stats["b"][STATE]["mean"].tolist() == [0, 0, 0.5, 0]
    assert stats["b"][STATE]["q99"].tolist() == [1, 1, 1.5, 1]


def test_the_command_shows_them_and_writes_the_robots_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # no line is broken
    for name in ("one", "two"):
        truth = write_v30(tmp_path / name, cameras={}, state_dim=3, action_dim=2)
    block = {"condition_on": "source", "datasets": [{"root": str(tmp_path / name)} for name in ("one", "two")]}
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump({"dataset": block}))
    assert main(["stats", str(tmp_path / "mix.yaml"), f"--out={tmp_path / 'out'}"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "source=" in line]
    assert len(lines) == 2
    assert all("tells the source" in line and "hardly" not in line for line in lines)
    written = json.loads((tmp_path / "out/global/meta/stats.json").read_text())
    np.testing.assert_allclose(written[STATE]["mean"], truth.columns[STATE].mean(0), rtol=1e-5)
    (tmp_path / "given.yaml").write_text(yaml.safe_dump({"dataset": block | {"stats": str(tmp_path / "out")}}))
    assert main(["stats", str(tmp_path / "given.yaml"), "--json"]) == 0
