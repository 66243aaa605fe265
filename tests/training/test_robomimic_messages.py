"""What a user of a robomimic config is told: in its own names, once, and only what is so."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.config import MixtureConfig
from robomix.errors import ConfigError
from robomix.mixture.factory import make_mixture
from robomix.training.command_line import parse_train_args
from robomix.training.robomimic.config import read_robomimic_config
from tests.hdf5_files import Truth5, write_robomimic
from tests.training.robomimic_experiment import write_config


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Truth5:
    """16 frames, with the vectors `LOW_DIM`, and without selections."""
    return write_robomimic(tmp_path_factory.mktemp("robomimic") / "lift.hdf5")


@pytest.fixture
def notes(file: Truth5, tmp_path: Path) -> Any:
    """The notes on the template with changes."""

    def function(changes: dict[str, Any] | None = None, **options: Any) -> list[str]:
        return read_robomimic_config(write_config(tmp_path / "exp.json", str(file.path), changes), **options)[1]

    return function


@pytest.fixture
def refusal(file: Truth5, tmp_path: Path) -> Any:
    """The error of the template with changes."""

    def function(changes: dict[str, Any], data: Any = None) -> str:
        with pytest.raises(ConfigError) as caught:
            read_robomimic_config(write_config(tmp_path / "exp.json", data or str(file.path), changes))
        return str(caught.value)

    return function


# Another policy's observations.


def test_without_cameras_another_policy_has_the_objects_apart(file: Truth5, tmp_path: Path) -> None:
    """LeRobot's act refuses a state alone: it wants a camera or `observation.environment_state`."""
    path = write_config(tmp_path / "exp.json", str(file.path))
    cfg = parse_train_args([f"--robomimic_config={path}", "--policy.type=act", "--policy.device=cpu"])
    sample = make_mixture(cfg.dataset)[3]
    columns = file.columns
    robot = [columns["observation.robot0_eef_pos"][3], columns["observation.robot0.joint_pos"][3]]
    np.testing.assert_array_equal(sample["observation.state"], np.concatenate(robot).astype(np.float32))
    objects = columns["observation.object"][3].astype(np.float32)
    np.testing.assert_array_equal(sample["observation.environment_state"], objects)
    assert any(note.startswith("`object` becomes observation.environment_state") for note in cfg.notes)


@pytest.mark.parametrize("names", [["object"], ["robot0_eef_pos"]])
def test_where_objects_cannot_be_apart_the_remedy_is_told(notes: Any, names: list[str]) -> None:
    told = notes({"observation.modalities.obs.low_dim": names}, other_policy=True)
    assert any("need a camera, or `object` beside other observations" in note for note in told)


def test_with_cameras_all_vectors_are_the_state(tmp_path: Path) -> None:
    seen = write_robomimic(tmp_path / "seen.hdf5", cameras=("agentview",))
    changes = {"observation.modalities.obs.rgb": ["agentview_image"]}
    path = write_config(tmp_path / "exp.json", str(seen.path), changes)
    data, told = read_robomimic_config(path, other_policy=True)
    features = make_mixture(MixtureConfig.from_dict(data["dataset"])).schema.features
    assert set(features) == {"observation.state", "observation.images.agentview", "action"}
    assert not any("environment_state" in note or "need a camera" in note for note in told)


# What is not there.


def test_robomimics_default_observations_are_missed_in_one_message(file: Truth5, tmp_path: Path) -> None:
    other = write_robomimic(tmp_path / "other.hdf5", seed=1)
    short = {"algo_name": "bc", "train": {"data": [{"path": str(file.path)}, {"path": str(other.path)}]}}
    (tmp_path / "short.json").write_text(json.dumps(short))
    with pytest.raises(ConfigError) as caught:
        read_robomimic_config(str(tmp_path / "short.json"))
    assert str(caught.value) == (
        f"{tmp_path}/short.json: observation.modalities.obs.low_dim: the config lists none, so they are robomimic's "
        f"defaults, of which {file.path} lacks robot0_eef_quat, robot0_gripper_qpos (as 1 more). List here what the "
        "policy shall observe; the files have object, robot0.joint_pos, robot0_eef_pos."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"observation.modalities.obs.rgb": ["agentview_image"]}, "obs.rgb[0]: {} has no 'agentview_image' of this "
            "kind. It has none."),
        ({"train.action_keys": ["action_abs"]}, "train.action_keys[0]: {} has no 'action_abs' of this kind. Did you "
            "mean 'actions_abs'? It has actions, actions_abs."),
    ],
)  # fmt: skip
def test_what_a_file_lacks_is_told_in_its_own_names(
    file: Truth5, refusal: Any, changes: dict[str, Any], said: str
) -> None:
    assert said.format(file.path) in refusal(changes)


def test_a_selection_for_all_files_is_named_as_the_config_names_it(file: Truth5, refusal: Any) -> None:
    said = refusal({"train.hdf5_filter_key": "train"})
    assert f"train.hdf5_filter_key: {file.path} has no selection 'train'. It names none. Set it to null" in said
    said = refusal({}, [{"path": str(file.path), "filter_key": "train"}])
    assert f"train.data[0].filter_key: {file.path} has no selection 'train'. It names none. null takes all." in said


def test_a_mixture_file_is_told_from_a_config(tmp_path: Path) -> None:
    (tmp_path / "mix.yaml").write_text("dataset: {datasets: [{root: a}]}")
    with pytest.raises(ConfigError, match=r"is a mixture file, .* Give it as --config_path=.*mix\.yaml\."):
        parse_train_args([f"--robomimic_config={tmp_path / 'mix.yaml'}"])


def test_another_algorithm_is_refused_in_whole_sentences(refusal: Any) -> None:
    said = refusal({"algo_name": "bcq"})
    assert said.endswith("on the same data.")


# Notes.


def test_rollouts_that_are_off_are_no_key_without_effect(notes: Any) -> None:
    """Nor are keys that ask for nothing, such as `experiment.env: null`."""
    named = notes()[-1].split(": ")[1].split(", ")
    assert [name for name in named if name.startswith(("experiment.rollout", "experiment.env"))] == [
        "experiment.rollout.* (off)"
    ]
    assert "experiment.render" not in named


def test_an_output_folder_is_told_of_where_it_is_used(notes: Any, file: Truth5, tmp_path: Path) -> None:
    assert any(
        "'../runs/test' is taken from the working folder" in note for note in notes({"train.output_dir": "../runs"})
    )
    path = write_config(tmp_path / "exp.json", str(file.path), {"train.output_dir": "../runs"})
    cfg = parse_train_args([f"--robomimic_config={path}", f"--output_dir={tmp_path / 'out'}", "--policy.device=cpu"])
    assert not any("output folder" in note for note in cfg.notes)


def test_validation_and_best_checkpoints_are_told_to_be_missing(notes: Any) -> None:
    told = notes({
        "experiment.validate": True, "experiment.save.on_best_validation": True, "experiment.rollout.enabled": True,
    })  # fmt: skip
    assert any(note.startswith("no validation (experiment.validate): nothing is held out") for note in told)
    best = "experiment.save.on_best_rollout_success_rate, experiment.save.on_best_validation"
    assert f"no checkpoint is saved for being the best so far ({best})" in told
    assert not any(note.startswith("no ") for note in notes({"experiment.save.on_best_validation": False}))
