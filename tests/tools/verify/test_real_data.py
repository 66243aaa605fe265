"""The loaders of recordings of real robots, in six formats, pass every check."""

from pathlib import Path

import pytest
import yaml

from robomix import MixtureConfig
from robomix.mixture.factory import make_mixture
from robomix.mixture.resolve import make_schedule
from robomix.tools.verify.run import verify
from robomix.tools.verify.subject import Subject
from tests.conftest import PROJECT


def test_recordings_of_every_format_pass_every_check(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if real_data.resolve() != (PROJECT / "../shared/data").resolve():
        pytest.skip("the example names ../shared/data, and the recordings lie elsewhere")
    monkeypatch.chdir(PROJECT)
    block = yaml.safe_load((PROJECT / "examples/every_format.yaml").read_text())["dataset"]
    block["datasets"] = [entry for entry in block["datasets"] if entry["root"].startswith("../shared")]
    config = MixtureConfig.from_dict(block)
    mixture = make_mixture(config, delta_indices={"action": range(10)})
    schedule = make_schedule(mixture.sources, config, seed=0, batch_size=24)
    found = verify(Subject(config, mixture, schedule, ranks=2), 72)
    assert {check.name: check.text for check in found.checks if check.verdict == "off"} == {}
    assert [source.name for source in found.sources if source.drawn] == [
        "cr5",
        "g1",
        "gr1",
        "franka",
        "pusht",
        "bridge",
    ]
    assert {key for source in found.sources for key, share in source.padded_dims.items() if share} == {
        "observation.state",
        "action",
    }
    assert found.timing.phases_s["decode"] > 0
