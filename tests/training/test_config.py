"""The training command line: LeRobot's flags and files mean what they mean there, and a saved run comes back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from robomix.errors import ConfigError
from robomix.training.command_line import find_checkpoint, parse_train_args
from robomix.training.config import load_train_config, save_train_config
from robomix.training.lerobot import EnvConfig, LRSchedulerConfig, OptimizerConfig, PreTrainedConfig, encode
from robomix.validation import fit
from tests.conftest import PROJECT

LIST = str(PROJECT / "examples" / "lerobot_list.json")
MAPPED = str(PROJECT / "examples" / "lerobot_feature_map.yaml")
ACT = ["--policy.type=act", "--policy.device=cpu", "--dataset.root=a"]


def refusal(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_train_args(argv)
    return str(caught.value)


def test_the_json_of_the_list_document_is_a_training() -> None:
    cfg = parse_train_args(["--config_path", LIST])
    assert cfg.policy.type == "diffusion"
    assert [source.name for source in cfg.dataset.datasets] == ["lerobot/pusht", "lerobot/aloha_sim_insertion_human"]


def test_the_commands_of_the_list_document_parse() -> None:
    repo_ids = '["lerobot/aloha_sim_insertion_human", "lerobot/aloha_sim_transfer_cube_human"]'
    cfg = parse_train_args(
        [
            f"--dataset.repo_id={repo_ids}",
            "--policy.type=act",
            "--env.type=aloha",
            "--output_dir=outputs/train/multi_aloha",
        ]
    )
    assert [source.repo_id for source in cfg.dataset.datasets] == [
        "lerobot/aloha_sim_insertion_human",
        "lerobot/aloha_sim_transfer_cube_human",
    ]
    assert (cfg.env.type, cfg.job_name, cfg.output_dir) == ("aloha", "aloha_act", Path("outputs/train/multi_aloha"))
    episodes = parse_train_args(["--dataset.repo_id=x", "--dataset.episodes=[0, 1, 2]", "--policy.type=diffusion"])
    assert episodes.dataset.datasets[0].episodes == (0, 1, 2)


def test_the_yaml_of_the_feature_map_document_trains_with_one_flag_more() -> None:
    cfg = parse_train_args(["--config_path=" + MAPPED, "--policy.type=act"])
    assert [source.weight for source in cfg.dataset.datasets] == [1.0, 0.5, 0.3]


def test_defaults_are_lerobots() -> None:
    cfg = parse_train_args(ACT)
    found = (cfg.seed, cfg.batch_size, cfg.steps, cfg.log_freq, cfg.save_freq, cfg.env_eval_freq, cfg.num_workers)
    assert found == (1000, 8, 100_000, 200, 20_000, 20_000, 4)
    assert cfg.optimizer == cfg.policy.get_optimizer_preset()
    assert cfg.output_dir.parts[:2] == ("outputs", "train")
    assert cfg.output_dir.name.endswith("_act")
    assert cfg.notes == []


def test_flags_win_over_the_file_and_reach_into_lists() -> None:
    cfg = parse_train_args([
        f"--config_path={MAPPED}", "--policy.type=act", "--dataset.alpha=1", "--dataset.datasets.1.weight", "3",
        "--dataset.datasets.0.feature_map.a.b=action.x", "--dataset.datasets.3.root=extra",
    ])  # fmt: skip
    assert cfg.dataset.alpha == 1
    assert [source.weight for source in cfg.dataset.datasets] == [1.0, 3, 0.3, 1.0]
    assert cfg.dataset.datasets[0].feature_map["a.b"] == "action.x"
    assert cfg.dataset.datasets[3].root == "extra"


def test_a_flag_changes_one_source_and_not_the_alias_another_shares(tmp_path: Path) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(
        "dataset: {datasets: [{root: a, transforms: &t [{type: pad_action, kwargs: {target_dim: 7}}]}, "
        "{root: b, transforms: *t}]}\npolicy: {type: act}\n"
    )
    cfg = parse_train_args([f"--config_path={path}", "--dataset.datasets.0.transforms.0.kwargs.target_dim=9"])
    assert [source.transforms[0].kwargs["target_dim"] for source in cfg.dataset.datasets] == [9, 7]


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        (["--job_name=007"], "job_name", "007"),
        (["--job_name=true"], "job_name", "true"),
        (["--job_name=a: b #c"], "job_name", "a: b #c"),
        (["--job_name='x'"], "job_name", "x"),
        (["--save_checkpoint=false"], "save_checkpoint", False),
        (["--dry_run"], "dry_run", True),
        (["--dry_run", "--steps", "5"], "dry_run", True),
        (["--steps=1_000"], "steps", 1000),
        (["--steps=1", "--steps=2"], "steps", 2),
        (["--eval_freq=5"], "env_eval_freq", 5),
        (["--tolerance_s=1e-3"], "tolerance_s", 1e-3),
        (["--save_freq", "-1"], "save_freq", -1),
    ],
)
def test_flags_are_read_by_the_type_of_what_they_set(flags: list[str], name: str, value: object) -> None:
    assert getattr(parse_train_args([*ACT, *flags]), name) == value


def test_a_policy_is_not_published_unless_a_place_is_given() -> None:
    assert parse_train_args(ACT).policy.push_to_hub is False
    cfg = parse_train_args([*ACT, "--policy.repo_id=me/policy"])
    assert (cfg.policy.push_to_hub, cfg.policy.repo_id) == (True, "me/policy")
    assert "needs the place to push to" in refusal(*ACT, "--policy.push_to_hub=true")


def test_a_trained_policy_is_trained_further_with_overrides(tmp_path: Path) -> None:
    config = PreTrainedConfig.get_choice_class("act")(chunk_size=7, n_action_steps=7, device="cpu", repo_id="me/old")
    config.save_pretrained(tmp_path)
    cfg = parse_train_args([f"--policy.path={tmp_path}", "--dataset.root=a", "--policy.n_action_steps=3"])
    assert (cfg.policy.chunk_size, cfg.policy.n_action_steps) == (7, 3)
    assert cfg.policy.pretrained_path == tmp_path
    assert cfg.policy.repo_id is None
    file = tmp_path / "mix.yaml"
    file.write_text(f"dataset: {{root: a}}\npolicy: {{path: {tmp_path}, n_action_steps: 2}}\n")
    assert parse_train_args([f"--config_path={file}"]).policy.n_action_steps == 2
    assert "policy.path has a policy of type 'act'" in refusal(f"--policy.path={tmp_path}", "--policy.type=diffusion")


def test_settings_that_have_no_effect_are_named() -> None:
    cfg = parse_train_args([*ACT, "--tolerance_s=1e-3", "--dataset.video_backend=torchcodec"])
    assert [note.split()[0] for note in cfg.notes] == ["tolerance_s", "video_backend"]


@pytest.mark.parametrize("kind", ["pi0", "pi05"])
def test_actions_are_made_relative_by_the_mixture_not_by_lerobot(kind: str) -> None:
    """LeRobot's way would normalize differences by the statistics of what they were made of."""
    told = refusal(f"--policy.type={kind}", "--dataset.root=a", "--policy.use_relative_actions=true")
    assert "--policy.use_relative_actions: found true, expected false" in told
    assert "transforms: [{type: delta_action, kwargs: {reference: state}}]" in told


def test_an_optimizer_of_ones_own_needs_the_preset_off() -> None:
    own = ["--optimizer.type=adamw", "--optimizer.lr=0.5"]
    assert "--optimizer.lr: has no effect beside the policy's preset" in refusal(*ACT, *own)
    assert parse_train_args([*ACT, *own, "--use_policy_training_preset=false"]).optimizer.lr == 0.5
    assert "optimizer: missing" in refusal(*ACT, "--use_policy_training_preset=false")


def test_a_saved_run_comes_back_from_its_folder_or_a_checkpoint_wherever_it_was_moved(tmp_path: Path) -> None:
    started = parse_train_args([
        f"--config_path={MAPPED}", "--policy.type=act", "--policy.chunk_size=20", "--policy.n_action_steps=20",
        "--env.type=pusht", "--steps=50", f"--output_dir={tmp_path / 'run'}",
    ])  # fmt: skip
    checkpoint = tmp_path / "moved" / "checkpoints" / "000010"
    (checkpoint / "pretrained_model").mkdir(parents=True)
    (checkpoint / "training_state").mkdir()
    (checkpoint.parent / "last").symlink_to("000010")
    save_train_config(started, checkpoint / "pretrained_model")
    assert load_train_config(checkpoint / "pretrained_model") == replace(started)

    resumed = parse_train_args(["--resume=true", f"--output_dir={tmp_path / 'moved'}", "--steps=80"])
    assert (resumed.resume, resumed.steps, resumed.checkpoint_path) == (True, 80, checkpoint)
    same = ("dataset", "policy", "env", "optimizer", "scheduler", "eval", "wandb", "seed", "batch_size", "job_name")
    assert all(getattr(resumed, name) == getattr(started, name) for name in same)
    for path in ("checkpoints/last", "checkpoints/000010/pretrained_model/train_config.json"):
        cfg = parse_train_args(["--resume", f"--config_path={tmp_path / 'moved' / path}"])
        assert (cfg.checkpoint_path, cfg.output_dir) == (checkpoint, tmp_path / "moved")


def test_resume_says_what_it_looked_for(tmp_path: Path) -> None:
    assert "which run?" in refusal("--resume")
    assert f"there is no {tmp_path}/checkpoints/last" in refusal("--resume", f"--output_dir={tmp_path}")
    with pytest.raises(ConfigError, match="is no checkpoint of robomix"):
        find_checkpoint(str(tmp_path), None)


def test_a_new_run_does_not_start_in_a_folder_that_exists(tmp_path: Path) -> None:
    assert "exists already, and is not overwritten" in refusal(*ACT, f"--output_dir={tmp_path}")
    (tmp_path / "file").touch()
    assert "is no folder one may write to" in refusal(*ACT, f"--output_dir={tmp_path / 'file' / 'run'}")


NEEDED = {"robomix": {"task": "fetch"}, "robosuite": {"task": "Lift"}, "gym": {"task": "FetchReach-v4"}}
"""What robomix's own types of environments cannot be made without."""


@pytest.mark.parametrize("base", [PreTrainedConfig, EnvConfig, OptimizerConfig, LRSchedulerConfig])
def test_every_config_lerobot_writes_passes_the_strict_check(base: Any) -> None:
    """Otherwise a checkpoint could be written and not be resumed."""
    for name, cls in base.get_known_choices().items():
        try:
            config = cls(**NEEDED.get(name, {}))
        except (TypeError, ImportError, OSError):  # needs arguments, packages that are not installed, or the Hub
            continue
        plain = encode(config, base)
        assert fit(cls, {key: value for key, value in plain.items() if key != "type"}, (name,)) == []
