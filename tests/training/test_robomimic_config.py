"""robomimic's configs: they train what they train in robomimic, and no key is passed over without a word."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.cli.main import main
from robomix.config import MixtureConfig
from robomix.errors import ConfigError
from robomix.mixture.factory import make_mixture
from robomix.mixture.resolve import resolve, streams
from robomix.mixture.schedule import Schedule
from robomix.training.command_line import parse_train_args
from robomix.training.robomimic.config import read_robomimic_config
from tests.hdf5_files import Truth5, write_robomimic
from tests.training.robomimic_experiment import LOW_DIM, TEMPLATE, UNUSED_OF_TEMPLATE, changed, write_config


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Truth5]:
    """Two datasets, of 1000 and 100 samples, and one with cameras."""
    folder = tmp_path_factory.mktemp("robomimic")
    masks = {"train": [0], "valid": [1]}
    return {
        "expert": write_robomimic(folder / "expert.hdf5", ids=(0, 1), lengths=(600, 400), masks=masks),
        "novice": write_robomimic(folder / "novice.hdf5", ids=(0, 1), lengths=(70, 30), masks=masks, seed=1),
        "seen": write_robomimic(folder / "seen.hdf5", ids=(0,), lengths=(4,), cameras=("agentview", "robot0_eye")),
    }


@pytest.fixture
def read(files: dict[str, Truth5], tmp_path: Path) -> Any:
    """The plain data of the template with changes; `data` defaults to the first file."""

    def function(data: Any = None, changes: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        path = write_config(tmp_path / "exp.json", data or str(files["expert"].path), changes)
        return read_robomimic_config(path, **options)[0]

    return function


@pytest.fixture
def refusal(read: Any) -> Any:
    """The error of a config."""

    def function(data: Any = None, changes: dict[str, Any] | None = None, **options: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            read(data, changes, **options)
        return str(caught.value)

    return function


def both(files: dict[str, Truth5], **of_the_second: Any) -> list[dict[str, Any]]:
    return [{"path": str(files["expert"].path)}, {"path": str(files["novice"].path)} | of_the_second]


# What is drawn.


@pytest.mark.parametrize(("normalized", "ratio"), [(None, (10, 1)), (False, (10, 1)), (True, (1, 1))])
def test_a_thousand_and_a_hundred_samples_are_drawn_as_the_document_says(
    files: dict[str, Truth5], read: Any, normalized: bool | None, ratio: tuple[int, int]
) -> None:
    data = [{"path": str(files[name].path), "weight": 1.0} for name in ("expert", "novice")]
    changes = {} if normalized is None else {"train.normalize_weights_by_ds_size": normalized}
    config = MixtureConfig.from_dict(read(data, changes)["dataset"])
    mixture = make_mixture(config)
    np.testing.assert_allclose(resolve(mixture.sources, config.alpha), np.array(ratio) / sum(ratio))
    schedule = Schedule(streams(mixture.sources, config.alpha), seed=0, batch_size=10)
    assert schedule.consumed(11 * 20).tolist() == [2200 * part // sum(ratio) for part in ratio]


@pytest.mark.parametrize(("normalized", "expected"), [(True, (2 / 3, 1 / 3)), (False, (20 / 21, 1 / 21))])
def test_a_weight_counts_for_a_dataset_or_for_each_of_its_sequences(
    files: dict[str, Truth5], read: Any, normalized: bool, expected: tuple[float, float]
) -> None:
    """The complete example of the document: experts with weight 2."""
    data = [{"path": str(files["expert"].path), "weight": 2.0}, {"path": str(files["novice"].path), "weight": 1.0}]
    changes = {"train.normalize_weights_by_ds_size": normalized, "train.batch_size": 100, "train.num_epochs": 1000}
    found = read(data, changes)
    config = MixtureConfig.from_dict(found["dataset"])
    np.testing.assert_allclose(resolve(make_mixture(config).sources, config.alpha), expected)
    assert (found["batch_size"], found["steps"]) == (100, 100_000)


def test_every_key_of_a_dataset_is_used(files: dict[str, Truth5], read: Any) -> None:
    """The first example of the document, and `filter_key`."""
    first = {"path": str(files["expert"].path), "demo_limit": 100, "weight": 1.0, "lang": "make coffee"}
    data = [first | {"eval": True, "key": "coffee", "filter_key": "train"}, both(files)[1] | {"weight": 2.0}]
    found = read(data, {"train.hdf5_filter_key": "valid", "experiment.rollout.enabled": True})
    one, two = MixtureConfig.from_dict(found["dataset"]).datasets
    assert (one.name, one.demo_limit, one.weight, one.lang, one.filter_key) == (
        "coffee", 100, 1.0, "make coffee", "train",
    )  # fmt: skip
    assert (two.name, two.demo_limit, two.weight, two.lang, two.filter_key) == ("novice", None, 2.0, None, "valid")
    sources = make_mixture(MixtureConfig.from_dict(found["dataset"])).sources
    assert [source.frames.num_drawable for source in sources] == [600, 30]
    assert sources[0].tasks == ("make coffee",)


def test_datasets_are_evaluated_unless_one_or_all_say_no(files: dict[str, Truth5], read: Any) -> None:
    on = {"experiment.rollout.enabled": True}
    assert [source["eval"] for source in read(both(files, eval=False), on)["dataset"]["datasets"]] == [True, False]
    assert [source["eval"] for source in read(both(files, eval=True))["dataset"]["datasets"]] == [False, False]
    assert read(str(files["expert"].path), on)["dataset"]["datasets"][0]["eval"] is True


def test_an_environment_is_that_of_the_file_with_the_horizon_of_the_config(tmp_path: Path, read: Any) -> None:
    env_args = {"env_name": "fetch", "type": "robomix", "env_kwargs": {"control_freq": 25}}
    file = write_robomimic(tmp_path / "lift.hdf5", env_args=env_args)
    changes = {"experiment.rollout.enabled": True, "experiment.rollout.horizon": 30}
    source = read([{"path": str(file.path), "lang": "lift it"}], changes)["dataset"]["datasets"][0]
    assert source["env"] == {"episode_length": 30}
    assert "env" not in read(str(file.path))["dataset"]["datasets"][0]


def test_a_dataset_whose_environment_is_unknown_is_not_evaluated_without_a_word(tmp_path: Path, capsys: Any) -> None:
    file = write_robomimic(tmp_path / "momart.hdf5", env_args={"env_name": "Kitchen", "type": 3})
    data = [{"path": str(file.path), "fps": 20}]
    path = write_config(tmp_path / "exp.json", data, {"experiment.rollout.enabled": True})
    assert main(["train", f"--robomimic_config={path}", "--dry_run"]) == 2
    said = capsys.readouterr().err
    assert "source 'momart' cannot be evaluated: env_args name the environment 'Kitchen' of type 3, iGibson" in said
    assert "--env_eval_freq=0 trains without evaluations" in said


def test_a_path_may_begin_at_home_or_in_the_working_folder(
    files: dict[str, Truth5], read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = files["expert"].path.parent
    monkeypatch.setenv("HOME", str(folder))
    assert read("~/expert.hdf5")["dataset"]["datasets"][0]["root"] == "~/expert.hdf5"
    monkeypatch.chdir(folder)
    config = MixtureConfig.from_dict(read("expert.hdf5")["dataset"])
    assert make_mixture(config).num_frames == 1000


def test_files_of_one_name_are_numbered_and_a_key_has_its_name_first(files: dict[str, Truth5], read: Any) -> None:
    path = str(files["expert"].path)
    data = [{"path": path}, {"path": path}, {"path": path, "key": "expert#2"}, {"path": path, "key": None}]
    names = [source["name"] for source in read(data)["dataset"]["datasets"]]
    assert names == ["expert", "expert#3", "expert#2", "expert#4"]


# What a sample holds.


def test_low_dim_observations_become_the_state_in_their_order(files: dict[str, Truth5], read: Any) -> None:
    mixture = make_mixture(MixtureConfig.from_dict(read()["dataset"]))
    columns = files["expert"].columns
    expected = [columns[key][3] for key in (f"observation.{name.replace('/', '.')}" for name in LOW_DIM)]
    sample = mixture[3]
    np.testing.assert_array_equal(sample["observation.state"], np.concatenate(expected).astype(np.float32))
    np.testing.assert_array_equal(sample["action"], columns["action"][3].astype(np.float32))
    assert set(mixture.schema.features) == {"observation.state", "action"}


def test_cameras_are_kept_and_others_left_out(files: dict[str, Truth5], read: Any) -> None:
    changes = {"observation.modalities.obs.low_dim": ["object"], "observation.modalities.obs.rgb": ["agentview_image"]}
    mixture = make_mixture(MixtureConfig.from_dict(read(str(files["seen"].path), changes)["dataset"]))
    assert set(mixture.schema.features) == {"observation.state", "observation.images.agentview", "action"}


def test_other_arrays_become_the_action(files: dict[str, Truth5], read: Any) -> None:
    found = read(changes={"train.action_keys": ["actions_abs", "actions"]})
    sample = make_mixture(MixtureConfig.from_dict(found["dataset"]))[5]
    columns = files["expert"].columns
    expected = np.concatenate([columns["actions_abs"][5], columns["action"][5]]).astype(np.float32)
    np.testing.assert_array_equal(sample["action"], expected)
    found = read(changes={"train.action_keys": ["actions_abs"]})
    np.testing.assert_array_equal(
        make_mixture(MixtureConfig.from_dict(found["dataset"]))[5]["action"], columns["actions_abs"][5]
    )


def test_an_embedding_of_the_text_is_replaced_by_the_text(files: dict[str, Truth5], tmp_path: Path, read: Any) -> None:
    changes = {"observation.modalities.obs.low_dim": ["object", "lang_emb"]}
    data = [{"path": str(files["expert"].path), "lang": "lift the cube"}]
    path = write_config(tmp_path / "lang.json", data, changes)
    found, notes = read_robomimic_config(path)
    sample = make_mixture(MixtureConfig.from_dict(found["dataset"]))[0]
    assert sample["observation.state"].shape == (10,)
    assert sample["task"] == "lift the cube"
    assert any("bc does not read it" in note for note in notes)


# How it is trained.


def test_the_template_is_robomimics_training(read: Any, tmp_path: Path) -> None:
    found = read()
    assert found["policy"] | {"device": None} == {
        "type": "bc", "device": None, "head": "deterministic", "hidden_dims": [1024, 1024],
        "l2_weight": 1.0, "l1_weight": 0.0, "cos_weight": 0.0,
        "n_obs_steps": 1, "chunk_size": 1, "n_action_steps": 1,
        "normalization_mapping": {"STATE": "IDENTITY", "ENV": "IDENTITY", "VISUAL": "IDENTITY", "ACTION": "IDENTITY"},
        "optimizer_type": "adam", "optimizer_lr": 1e-4, "optimizer_weight_decay": 0.0, "optimizer_grad_clip_norm": 0.0,
        "lr_decay_factor": 0.1, "lr_decay_steps": [],
    }  # fmt: skip
    del found["policy"], found["dataset"]
    assert found == {
        "batch_size": 100, "seed": 1, "num_workers": 0, "steps": 200_000, "job_name": "test",
        "output_dir": str(tmp_path / "runs" / "test"), "save_checkpoint": True, "save_freq": 5000,
        "env_eval_freq": 0, "wandb": {"enable": False, "project": "debug"},
    }  # fmt: skip


def test_what_a_config_leaves_out_is_robomimics_default(read: Any, files: dict[str, Truth5], tmp_path: Path) -> None:
    short = {"algo_name": "bc", "train": {"data": str(files["expert"].path)}}
    short["observation"] = {"modalities": {"obs": {"low_dim": LOW_DIM}}}
    (tmp_path / "short.json").write_text(json.dumps(short))
    found, notes = read_robomimic_config(str(tmp_path / "short.json"))
    in_full = read(changes={"experiment.rollout.enabled": True})
    del in_full["output_dir"]
    assert found == in_full
    assert not any("not used" in note for note in notes)


def test_a_mixture_is_as_the_policy_learns_it(read: Any) -> None:
    changes = {
        "algo.gmm.enabled": True, "algo.gmm.num_modes": 3, "algo.gmm.min_std": 0.01, "algo.gmm.std_activation": "exp",
        "algo.gmm.low_noise_eval": False, "algo.actor_layer_dims": [], "train.seq_length": 5, "algo.rnn.enabled": True,
        "algo.rnn.horizon": 5, "algo.rnn.hidden_dim": 7, "algo.rnn.rnn_type": "GRU", "algo.rnn.num_layers": 1,
        "train.pad_seq_length": False, "train.hdf5_normalize_obs": True,
        "train.action_config.actions.normalization": "min_max", "train.max_grad_norm": 0.5,
        "algo.optim_params.policy.optimizer_type": "adamw", "algo.optim_params.policy.learning_rate.initial": 1e-3,
        "algo.optim_params.policy.learning_rate.epoch_schedule": [3, 9],
        "algo.optim_params.policy.learning_rate.decay_factor": 0.5, "algo.optim_params.policy.regularization.L2": 0.1,
    }  # fmt: skip
    policy = read(changes=changes)["policy"]
    del policy["device"]
    assert policy == {
        "type": "bc", "chunk_size": 1, "n_action_steps": 1, "n_obs_steps": 1, "hidden_dims": [], "head": "gmm",
        "num_modes": 3, "min_std": 0.01, "std_activation": "exp", "low_noise_eval": False, "pad_sequences": False,
        "rnn_type": "GRU", "rnn_horizon": 5, "rnn_hidden_dim": 7, "rnn_num_layers": 1, "rnn_open_loop": False,
        "rnn_bidirectional": False, "optimizer_type": "adamw", "optimizer_lr": 1e-3, "optimizer_weight_decay": 0.1,
        "optimizer_grad_clip_norm": 0.5, "lr_decay_factor": 0.5, "lr_decay_steps": [300, 900],
        "normalization_mapping": {"STATE": "MEAN_STD", "ENV": "MEAN_STD", "VISUAL": "MEAN_STD", "ACTION": "MIN_MAX"},
    }  # fmt: skip


def test_a_gaussian_and_stacked_frames_and_cameras_reach_the_policy(files: dict[str, Truth5], read: Any) -> None:
    encoder = "observation.encoder.rgb"
    changes = {
        "algo.gaussian.enabled": True, "algo.gaussian.init_std": 0.2, "algo.gaussian.fixed_std": True,
        "train.frame_stack": 3, "train.action_config.actions.normalization": "gaussian",
        "observation.modalities.obs.rgb": ["robot0_eye_image"], f"{encoder}.obs_randomizer_class": "CropRandomizer",
        f"{encoder}.core_kwargs.pool_kwargs.num_kp": 16, f"{encoder}.core_kwargs.backbone_kwargs.pretrained": True,
        "train.hdf5_normalize_obs": True,
    }  # fmt: skip
    found = read(str(files["seen"].path), changes)
    expected = {
        "head": "gaussian", "min_std": 0.01, "init_std": 0.2, "fixed_std": True, "n_obs_steps": 3,
        "crop_shape": [76, 76], "crop_is_random": True, "spatial_softmax_num_keypoints": 16,
        "pretrained_backbone_weights": "ResNet18_Weights.IMAGENET1K_V1", "use_group_norm": False,
    }  # fmt: skip
    assert expected.items() <= found["policy"].items()
    assert found["policy"]["normalization_mapping"]["ACTION"] == "MEAN_STD"
    assert found["dataset"]["use_imagenet_stats"] is False


@pytest.mark.parametrize(
    ("changes", "batches"),
    [
        ({}, 1000 // 50),
        ({"train.hdf5_filter_key": "train"}, 600 // 50),
        ({"train.seq_length": 11, "algo.rnn.enabled": True, "algo.rnn.horizon": 11}, 1000 // 50),
        (
            {"train.seq_length": 11, "algo.rnn.enabled": True, "algo.rnn.horizon": 11, "train.pad_seq_length": False},
            (590 + 390) // 50,
        ),
    ],
)
def test_an_epoch_without_a_number_of_steps_is_one_pass(read: Any, changes: dict[str, Any], batches: int) -> None:
    found = read(changes=changes | {
        "experiment.epoch_every_n_steps": None, "train.num_epochs": 3, "train.batch_size": 50,
        "experiment.save.every_n_epochs": 2, "algo.optim_params.policy.learning_rate.epoch_schedule": [1],
    })  # fmt: skip
    assert (found["steps"], found["save_freq"]) == (3 * batches, 2 * batches)
    assert found["policy"]["lr_decay_steps"] == [batches]


def test_an_epoch_is_a_pass_through_all_datasets(files: dict[str, Truth5], read: Any) -> None:
    changes = {"experiment.epoch_every_n_steps": None, "train.num_epochs": 1, "train.batch_size": 100}
    assert read(both(files, demo_limit=1), changes)["steps"] == 1070 // 100


def test_rollouts_and_logging_reach_the_training(read: Any) -> None:
    found = read(changes={
        "experiment.rollout.enabled": True, "experiment.rollout.n": 20, "experiment.rollout.rate": 4,
        "experiment.rollout.batched": True, "experiment.rollout.num_batch_envs": 2,
        "experiment.logging.log_wandb": True, "experiment.logging.wandb_proj_name": "lift",
        "experiment.save.enabled": False, "experiment.save.every_n_epochs": None, "train.num_data_workers": 2,
    })  # fmt: skip
    assert found["eval"] == {"n_episodes": 20, "batch_size": 2}
    assert found["env_eval_freq"] == 400
    assert found["wandb"] == {"enable": True, "project": "lift"}
    assert (found["save_checkpoint"], found["save_freq"], found["num_workers"]) == (False, 0, 2)


# What is told and refused.


def unused(files: dict[str, Truth5], path: Path, config: dict[str, Any]) -> set[str]:
    """The keys that the note on unused ones names."""
    config["train"]["data"] = str(files["expert"].path)
    path.write_text(json.dumps(config))
    notes = [note for note in read_robomimic_config(str(path))[1] if note.startswith("not used")]
    assert len(notes) <= 1
    return set(notes[0].split(": ")[1].split(", ")) if notes else set()


def leaves(block: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not isinstance(block, dict) or not block:
        yield path
    else:
        for name, inner in block.items():
            yield from leaves(inner, (*path, name))


def blocks(block: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(block, dict) and path != ("train", "data"):
        yield path
        for name, inner in block.items():
            yield from blocks(inner, (*path, name))


def test_every_unused_key_of_the_template_is_named(files: dict[str, Truth5], tmp_path: Path) -> None:
    assert unused(files, tmp_path / "exp.json", copy.deepcopy(TEMPLATE)) == UNUSED_OF_TEMPLATE


@pytest.mark.parametrize("path", [".".join(path) for path in blocks(TEMPLATE) if "modalities" not in path])
def test_a_key_nobody_knows_is_named_wherever_it_stands(files: dict[str, Truth5], tmp_path: Path, path: str) -> None:
    place = f"{path}.novelty".removeprefix(".")
    named = {
        name.removesuffix(" (off)") for name in unused(files, tmp_path / "exp.json", changed(TEMPLATE, {place: 1}))
    }
    covering = {f"{place.rsplit('.', depth)[0]}.*" for depth in range(1, place.count(".") + 1)}
    assert named & (covering | {place})


@pytest.mark.parametrize("place", ["obs.novelty", "goal.novelty", "subgoal.low_dim"])
def test_an_observation_of_an_unknown_kind_is_refused(refusal: Any, place: str) -> None:
    said = refusal(changes={f"observation.modalities.{place}": ["x"]})
    assert f"observation.modalities.{place}: found a list ['x'], expected a list []" in said


@pytest.mark.parametrize("path", [".".join(path) for path in leaves(TEMPLATE) if path[-2:] != ("obs", "low_dim")])
def test_any_key_may_be_left_out(files: dict[str, Truth5], tmp_path: Path, path: str) -> None:
    """Keys of robomimic are not taken for mistyped ones, whichever is missing beside them."""
    config = copy.deepcopy(TEMPLATE)
    *above, name = path.split(".")
    block = config
    for inner in above:
        block = block[inner]
    del block[name]
    unused(files, tmp_path / "exp.json", config)


def test_a_mistyped_key_is_an_error(refusal: Any, files: dict[str, Truth5], tmp_path: Path) -> None:
    config = copy.deepcopy(TEMPLATE)
    config["train"]["data"] = str(files["expert"].path)
    config["train"]["batchsize"] = config["train"].pop("batch_size")
    (tmp_path / "typo.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"typo\.json: train\.batchsize: unknown key\. Did you mean 'batch_size'\?"):
        read_robomimic_config(str(tmp_path / "typo.json"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train.data": []}, "train.data: found a list [], expected a path or a list of datasets"),
        ({"train.data": [{"weight": 1}]}, "train.data[0]: lacks the key `path`"),
        ({"train.data": ["a.hdf5"]}, "train.data[0]: found 'a.hdf5', expected a mapping"),
        ({"train.goal_mode": "last"}, "train.goal_mode: found 'last', expected null. Not supported: policies take no"),
        ({"train.batch_size": "100"}, "train.batch_size: found '100' (text), expected a whole number. Remove the quo"),
        ({"train.batch_size": 0}, "train.batch_size: found 0, expected 1 or more"),
        ({"train.num_epochs": 0}, "train.num_epochs: found 0, expected 1 or more"),
        ({"train.cuda": 1}, "train.cuda: found 1, expected true or false"),
        ({"train": 5}, "train: found 5, expected a mapping with the key"),
        ({"train.data_format": "r2d2"}, "train.data_format: found 'r2d2', expected 'robomimic'"),
        ({"train.pad_seq_length": False, "train.seq_length": 3}, "train.pad_seq_length: found false, expected true"),
        ({"train.pad_frame_stack": False, "train.frame_stack": 2}, "train.pad_frame_stack: found false, expected true"),
        ({"algo.rnn.enabled": True}, "train.seq_length: found 1, expected 10, as algo.rnn.horizon"),
        ({"algo.rnn.enabled": True, "algo.rnn.rnn_type": "RNN"}, "algo.rnn.rnn_type: found 'RNN', expected 'LSTM' or"),
        ({"algo.rnn.enabled": True, "algo.gaussian.enabled": True}, "where robomimic would not use it"),
        ({"algo.gmm.enabled": True, "algo.gaussian.enabled": True}, "algo.gaussian.enabled: found true, expected fals"),
        ({"algo.vae.enabled": True}, "algo.vae.enabled: found true, expected false. Not supported: robomix's bc has"),
        ({"algo.transformer.enabled": True}, "--policy.type=act (diffusion, ...) trains a policy of LeRobot's"),
        ({"algo_name": "bcq"}, "algo_name: found 'bcq', expected 'bc'. Not supported: robomix has no other"),
        ({"algo.optim_params.policy.learning_rate.scheduler_type": "cosine"}, "found 'cosine', expected 'multistep'"),
        ({"algo.optim_params.policy.learning_rate.epoch_schedule": [5, 2]}, "numbers of epochs, 1 or more, rising"),
        ({"train.action_config.actions.rot_conversion": "axis_angle_to_6d"}, "rot_conversion: found 'axis_angle_to_6"),
        ({"train.action_config.actions.normalization": "minmax"}, "normalization: found 'minmax', expected"),
        ({"observation.modalities.obs.depth": ["d"]}, "obs.depth: found a list ['d'], expected a list []"),
        ({"observation.modalities.goal.low_dim": ["object"]}, "policies take no goal here"),
        ({"observation.modalities.obs.low_dim": []}, "at least one observation here or in rgb"),
        ({"observation.modalities.obs.low_dim": ["object", "object"]}, "each name once"),
        ({"observation.encoder.low_dim.core_class": "X"}, "encoder.low_dim.core_class: found 'X', expected null"),
        ({"experiment.ckpt_path": "a.pth"}, "robomimic's checkpoints hold networks of its own"),
        ({"experiment.epoch_every_n_steps": None, "train.batch_size": 2000}, "at most 1,000, the number of sequences"),
    ],
)
def test_what_would_be_another_training_is_refused(refusal: Any, changes: dict[str, Any], said: str) -> None:
    assert said in refusal(changes=changes)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"weigth": 2}, "train.data[1].weigth: unknown key. Did you mean 'weight'?"),
        ({"weight": "2"}, "train.data[1].weight: found '2' (text), expected a finite number. Remove the quotes."),
        ({"weight": -1.0}, "train.data[1].weight: found -1.0, expected a number from 0"),
        ({"eval": "true"}, "train.data[1].eval: found 'true' (text), expected true or false."),
        ({"demo_limit": 0}, "train.data[1].demo_limit: found 0, expected a number of episodes, 1 or more"),
        ({"lang": 5}, "train.data[1].lang: found 5, expected text or null. Put it in quotes."),
        ({"filter_key": "trian"}, "has no selection 'trian'. Did you mean 'train'?"),
        ({"path": "nowhere.hdf5"}, "nowhere.hdf5 does not exist, expected a dataset."),
    ],
)
def test_what_is_wrong_with_a_dataset_is_told(
    files: dict[str, Truth5], refusal: Any, entry: dict[str, Any], said: str
) -> None:
    assert said in refusal(both(files, **entry))


def test_two_datasets_cannot_have_one_key(files: dict[str, Truth5], refusal: Any) -> None:
    data = [entry | {"key": "coffee"} for entry in both(files)]
    assert "train.data[1].key: 'coffee' is the key of train.data[0] too." in refusal(data)


def test_an_observation_that_a_file_lacks_is_named_with_the_file(files: dict[str, Truth5], refusal: Any) -> None:
    said = refusal(changes={"observation.modalities.obs.low_dim": ["object", "robot0_eef_poss"]})
    assert f"observation.modalities.obs.low_dim[1]: {files['expert'].path} has no 'robot0_eef_poss'" in said
    assert "Did you mean 'robot0_eef_pos'? It has object, robot0.joint_pos, robot0_eef_pos." in said


def test_all_problems_are_told_at_once(files: dict[str, Truth5], refusal: Any) -> None:
    said = refusal(both(files, path="x.hdf5"), {"train.seed": -1, "algo.vae.enabled": True, "train.action_keys": ["a"]})
    assert said.startswith("4 problems")


def test_actions_that_the_policy_cannot_reach_are_told(files: dict[str, Truth5], tmp_path: Path) -> None:
    path = write_config(tmp_path / "exp.json", both(files))
    assert any("the actions of expert, novice leave [-1, 1]" in note for note in read_robomimic_config(path)[1])
    scaled = {"train.action_config.actions.normalization": "min_max"}
    path = write_config(tmp_path / "exp.json", both(files), scaled)
    assert not any("leave [-1, 1]" in note for note in read_robomimic_config(path)[1])


def test_a_file_without_a_rate_is_given_one_in_its_entry(tmp_path: Path, refusal: Any, read: Any) -> None:
    file = write_robomimic(tmp_path / "real.hdf5", env_args=None)
    assert "train.data[0]: " in (said := refusal(str(file.path)))
    assert "does not say how many frames per second" in said
    found = read([{"path": str(file.path), "fps": 20}])
    assert make_mixture(MixtureConfig.from_dict(found["dataset"])).sources[0].fps == 20


# The command line.


def test_flags_win_over_the_config(files: dict[str, Truth5], tmp_path: Path) -> None:
    path = write_config(tmp_path / "exp.json", both(files))
    cfg = parse_train_args([
        f"--robomimic_config={path}", "--steps=7", "--dataset.datasets.1.weight=3", "--policy.head=gmm", "--seed=5",
        "--policy.device=cpu", "--dataset.alpha=0.5",
    ])  # fmt: skip
    assert (cfg.steps, cfg.seed, cfg.dataset.alpha, cfg.policy.head) == (7, 5, 0.5, "gmm")
    assert [source.weight for source in cfg.dataset.datasets] == [1.0, 3]
    assert cfg.job_name == "test"
    assert any(note.startswith(f"not used of {path}") for note in cfg.notes)


def test_another_policy_is_trained_on_the_same_data(files: dict[str, Truth5], tmp_path: Path) -> None:
    path = write_config(tmp_path / "exp.json", both(files), {"algo_name": "diffusion_policy", "algo": {"ema": True}})
    cfg = parse_train_args([f"--robomimic_config={path}", "--policy.type=act", "--policy.device=cpu"])
    assert cfg.policy.type == "act"
    assert len(cfg.dataset.datasets) == 2
    assert cfg.batch_size == 100
    note = next(note for note in cfg.notes if note.startswith("not used"))
    named = set(note.split(": ")[1].split(", "))
    assert {"algo.ema", "train.seq_length"} <= named
    assert "algo_name" not in named


def test_a_config_is_no_other_start(files: dict[str, Truth5], tmp_path: Path) -> None:
    path = write_config(tmp_path / "exp.json", both(files))
    for other in ("--config_path=mix.yaml", "--resume=true"):
        with pytest.raises(ConfigError, match="starts a run of its own"):
            parse_train_args([f"--robomimic_config={path}", other])
    with pytest.raises(ConfigError, match="Give it as --robomimic_config"):
        parse_train_args([f"--config_path={path}"])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A recurrent policy on 16 and 9 frames, as a config; 3 epochs of 4 steps."""
    folder = tmp_path_factory.mktemp("small")
    one = write_robomimic(folder / "one.hdf5")
    two = write_robomimic(folder / "two.hdf5", ids=(3,), lengths=(9,), seed=1)
    config = write_config(folder / "exp.json", [{"path": str(one.path)}, {"path": str(two.path), "key": "second"}], {
        "train.normalize_weights_by_ds_size": True, "train.batch_size": 6, "train.num_epochs": 3, "train.cuda": False,
        "experiment.epoch_every_n_steps": None, "experiment.save.every_n_epochs": 1, "train.seq_length": 4,
        "algo.rnn.enabled": True, "algo.rnn.horizon": 4, "algo.rnn.hidden_dim": 8, "algo.actor_layer_dims": [8],
        "algo.gmm.enabled": True, "train.action_config.actions.normalization": "min_max",
        "algo.optim_params.policy.learning_rate.epoch_schedule": [1],
    })  # fmt: skip
    return folder, config


def test_a_dry_run_prints_the_mixture(small: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    folder, config = small
    assert main(["train", f"--robomimic_config={config}", "--dry_run", f"--output_dir={folder / 'dry'}"]) == 0
    printed = capsys.readouterr()
    assert [line.split()[1:3] for line in printed.out.splitlines() if "50.00%" in line] == [
        ["one", "│"], ["second", "│"],
    ]  # fmt: skip
    assert "observation.state: 19" in printed.out
    assert "not used of " in printed.err


def test_a_run_of_a_config_trains_and_goes_on_without_it(small: tuple[Path, str]) -> None:
    folder, config = small
    out = folder / "runs" / "test"
    assert main(["train", f"--robomimic_config={config}", "--log_freq=4"]) == 0
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == ["000004", "000008", "000012", "last"]
    assert main(["train", "--resume=true", f"--output_dir={out}", "--steps=16"]) == 0
    reports = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [report["step"] for report in reports] == [4, 8, 12, 16]
    assert reports[-1]["samples_per_source"] == {"one": 48, "second": 48}
    assert [report["lr"] for report in reports] == pytest.approx([1e-5] * 4)  # as reported after the step
