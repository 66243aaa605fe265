"""Each dataset's policy is rolled out in that dataset's own environment, in its own words, under its own name."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robomix.cli.main import main
from robomix.config import SourceConfig
from robomix.features import Feature
from robomix.formats import open_dataset
from robomix.formats.lerobot.writer import DatasetWriter
from robomix.mixture.source import Source
from robomix.training.drivers import PlainDriver
from robomix.training.lerobot import EnvConfig, PreTrainedConfig, close_envs, make_env, make_env_pre_post_processors
from robomix.training.rollouts import Filming, roll_out
from robomix.training.runner import executing, load_policy, load_processors, planning_of
from robomix.training.source_environment import environment_for
from tests.training.point_env import MAX_MOVE, Cart, Crane, demonstration

CART = {"type": "gym", "task": "Cart-v0", "package": "tests.training.point_env", "fps": 10}
CRANE = CART | {"task": "Crane-v0"}


def write(path: Path, env: Cart) -> None:
    features = {
        "observation.state": Feature("numeric", "float32", (2,)),
        "action": Feature("numeric", "float32", (1,)),
    }
    with DatasetWriter(path, fps=10, features=features, robot_type=path.name) as writer:
        for seed in range(30):
            writer.add_episode(demonstration(env, seed), "go to the goal")


CRANE_STEPS = [
    {"type": "select", "kwargs": {"key": "observation.state", "indices": [1, 0]}},
    {"type": "range", "kwargs": {"key": "observation.state", "from": [-100, 100], "to": [-1, 1]}},
    {"type": "range", "kwargs": {"key": "action", "from": [-100, 100], "to": [-1, 1]}},
    {"type": "delta_action", "kwargs": {"reference": "state", "state_entries": [0]}},
]
"""What makes the crane's words the cart's."""


def mixture_file(data: Path, path: Path, **training: Any) -> Path:
    settings = {
        "dataset": {
            "datasets": [
                {"root": str(data / "cart"), "key": "go/cart", "env": CART},
                {"root": str(data / "crane"), "name": "crane", "env": CRANE, "transforms": CRANE_STEPS},
                {"root": str(data / "cart"), "name": "not evaluated"},
            ]
        },
        "policy": BC,
        "batch_size": 64,
        "steps": 400,
        "log_freq": 100,
        "env_eval_freq": 200,
        "eval": {"n_episodes": 7, "batch_size": 3, "use_async_envs": False},
        "num_workers": 0,
    }
    path.write_text(json.dumps(settings | training))
    return path


BC = {
    "type": "bc",
    "device": "cpu",
    "head": "deterministic",
    "hidden_dims": [64, 64],
    "chunk_size": 3,
    "n_action_steps": 2,
    "optimizer_lr": 3e-3,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("points")
    write(folder / "cart", Cart())
    write(folder / "crane", Crane())
    return folder


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    output = data / "run"
    config = mixture_file(data, data / "mix.json")
    assert main(["train", f"--config_path={config}", f"--output_dir={output}"]) == 0
    return output


def evaluations(output: Path) -> dict[int, Any]:
    lines = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line["eval"] for line in lines if "eval" in line}


def test_one_policy_learns_both_dialects_and_is_evaluated_in_each_during_and_after_training(run: Path) -> None:
    found = evaluations(run)
    assert list(found) == [200, 400]
    for of_step in found.values():
        assert list(of_step) == ["go/cart", "crane"]
        assert {result["episodes"] for result in of_step.values()} == {7}
    assert [result["success"] for result in found[400].values()] == [1.0, 1.0]


def test_videos_lie_under_the_names_of_the_datasets_and_say_how_the_episode_went(run: Path) -> None:
    for name in ("go--cart", "crane"):
        videos = sorted(path.name for path in (run / "eval" / "step_000400" / name).iterdir())
        assert videos == [f"{1_000_000 + i}-solved.mp4" for i in range(4)]


def test_the_command_finds_what_the_training_found(run: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["eval", str(run), "--episodes", "7", "--json", f"--output_dir={tmp_path}", "--videos=2"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "eval.json").read_text())
    for name, found in evaluations(run)[400].items():
        assert {key: printed[name][key] for key in ("success", "reward", "steps", "episodes")} == {
            key: found[key] for key in ("success", "reward", "steps", "episodes")
        }
        assert [episode["seed"] for episode in printed[name]["of_episode"]] == list(range(1_000_000, 1_000_007))
    assert len(list((tmp_path / "videos" / "crane").iterdir())) == 2


def test_the_command_takes_another_mixture_file_and_some_of_its_datasets(data: Path, run: Path, tmp_path: Path) -> None:
    other = {
        "dataset": {"datasets": [{"path": str(data / "crane"), "key": "c", "env": CRANE, "transforms": CRANE_STEPS}]}
    }
    (tmp_path / "other.json").write_text(json.dumps(other))
    checkpoint = run / "checkpoints" / "last" / "pretrained_model"
    argv = ["eval", str(checkpoint), f"--config={tmp_path / 'other.json'}", f"--output_dir={tmp_path / 'out'}"]
    assert main([*argv, "--episodes=3", "--only", "c", "--videos=0"]) == 0
    assert json.loads((tmp_path / "out" / "eval.json").read_text())["c"]["success"] == 1.0


def test_without_the_way_back_the_crane_is_not_where_it_should_be(data: Path, run: Path, tmp_path: Path) -> None:
    """The control: the same policy, told nothing of the crane's words, does not solve its task."""
    plain = {"dataset": {"datasets": [{"root": str(data / "crane"), "name": "c", "env": CRANE}]}}
    (tmp_path / "plain.json").write_text(json.dumps(plain))
    argv = ["eval", str(run), f"--config={tmp_path / 'plain.json'}", f"--output_dir={tmp_path / 'out'}"]
    assert main([*argv, "--episodes=5", "--videos=0"]) == 0
    assert json.loads((tmp_path / "out" / "eval.json").read_text())["c"]["success"] < 0.5


def test_rollouts_are_those_of_lerobots_own_evaluation(run: Path, tmp_path: Path) -> None:
    from lerobot.scripts.lerobot_eval import eval_policy

    env = EnvConfig.get_choice_class("gym")(**{key: value for key, value in CART.items() if key != "type"})
    folder = run / "checkpoints" / "last" / "pretrained_model"
    policy = load_policy(folder, "cpu")
    processors = load_processors(policy, folder)
    envs = make_env(env, n_envs=3)
    vector_env = envs["gym"][0]
    torch.manual_seed(0)
    ours = roll_out(vector_env, PlainDriver(policy, processors), episodes=5, seed=20, filming=Filming(tmp_path, 1))
    torch.manual_seed(0)
    plain = make_env_pre_post_processors(env_cfg=env, policy_cfg=policy.config)
    theirs = eval_policy(vector_env, policy, *plain, *processors, n_episodes=5, start_seed=20)["per_episode"]
    close_envs(envs)
    assert [episode.seed for episode in ours] == [episode["seed"] for episode in theirs]
    assert [episode.success for episode in ours] == [episode["success"] for episode in theirs]
    assert [episode.reward for episode in ours] == [episode["sum_reward"] for episode in theirs]


def test_a_rate_that_does_not_divide_the_recordings_needs_a_word_on_how_long_actions_are_held(
    data: Path, run: Path, tmp_path: Path, capsys: Any
) -> None:
    cart = {"path": str(data / "cart"), "key": "go/cart", "env": CART}
    (tmp_path / "mix.json").write_text(json.dumps({"dataset": {"rate": 4, "datasets": [cart]}}))
    argv = ["eval", str(run), f"--config={tmp_path / 'mix.json'}", f"--output_dir={tmp_path / 'out'}", "--episodes=1"]
    assert main(argv) == 2
    assert "is recorded at 10 Hz and resampled to 4 Hz, which does not divide it" in capsys.readouterr().err
    cart["env"] = CART | {"repeat": 2}
    (tmp_path / "mix.json").write_text(json.dumps({"dataset": {"rate": 4, "datasets": [cart]}}))
    assert main(argv) == 0


def test_an_environment_that_says_another_rate_than_the_dataset_is_told(data: Path, caplog: Any) -> None:
    dataset = open_dataset(data / "cart")
    config = SourceConfig(root="cart", eval=True, env={"type": "robomix", "task": "fetch"})
    found = environment_for(Source(dataset, config, name="cart", normalize_by="global"))
    assert found.repeat == 1
    assert "'cart' is recorded at 10 Hz, and its environment 'robomix' says 25 steps per second" in caplog.text


def test_what_the_environment_does_to_actions_is_done() -> None:
    """LeRobot's environments may have steps of their own for actions, such as another form of rotations."""
    env = EnvConfig.get_choice_class("gym")(task="Cart-v0", package="tests.training.point_env")
    envs = make_env(env, n_envs=1)

    def forward(action: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"action": action["action"] + 0.5}

    roll_out(envs["gym"][0], Counting(), episodes=1, seed=3, finish=forward, max_steps=3)
    cart = envs["gym"][0].envs[0].unwrapped._env.unwrapped
    start = np.random.Generator(np.random.PCG64(3)).uniform(-1, 1)
    close_envs(envs)
    assert cart.place == pytest.approx(start + 3 * MAX_MOVE)


@EnvConfig.register_subclass("two carts")
@dataclass
class TwoCarts(EnvConfig):
    """A suite of two tasks, as LIBERO is one of ten."""

    task: str | None = "both"
    fps: int = 10

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        return {}

    def create_envs(self, n_envs: int, use_async_envs: bool = False) -> Any:
        made = [EnvConfig.get_choice_class("gym")(**{k: v for k, v in CART.items() if k != "type"}) for _ in range(2)]
        return {"carts": {i: make_env(config, n_envs=n_envs)["gym"][0] for i, config in enumerate(made)}}


def test_an_environment_of_several_tasks_is_evaluated_in_each_and_no_video_is_lost(
    data: Path, run: Path, tmp_path: Path
) -> None:
    cart = {"path": str(data / "cart"), "key": "c", "env": {"type": "two carts"}}
    (tmp_path / "mix.json").write_text(json.dumps({"dataset": {"datasets": [cart]}}))
    argv = ["eval", str(run), f"--config={tmp_path / 'mix.json'}", f"--output_dir={tmp_path / 'out'}", "--episodes=2"]
    assert main([*argv, "--videos=2"]) == 0
    assert json.loads((tmp_path / "out" / "eval.json").read_text())["c"]["episodes"] == 4
    assert {path.name for path in (tmp_path / "out" / "videos").iterdir()} == {"c--carts_0", "c--carts_1"}
    assert len(list((tmp_path / "out" / "videos").rglob("*.mp4"))) == 4


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("act", {"chunk_size": 9, "n_action_steps": 4}, (4, 9)),
        ("diffusion", {"horizon": 16, "n_obs_steps": 2, "n_action_steps": 8}, (8, 15)),
        ("vqbet", {"action_chunk_size": 5}, (5, None)),
        ("bc", {"chunk_size": 6, "n_action_steps": 3}, (3, 6)),
        ("bc", {"rnn_type": "LSTM", "rnn_horizon": 7}, (7, None)),
    ],
)
def test_when_a_policy_plans_anew_is_known(kind: str, settings: dict[str, Any], expected: tuple[int, int]) -> None:
    planning = planning_of(PreTrainedConfig.get_choice_class(kind)(**settings))
    assert (planning.steps, planning.longest) == expected


class Counting:
    """Goes nowhere, and counts how often it is asked where to."""

    asked = 0

    def reset(self) -> None:
        self.asked = 0

    def __call__(self, observation: Any) -> np.ndarray:
        self.asked += 1
        return np.zeros((len(observation["task"]), 1), np.float32)


def test_an_action_of_a_slower_policy_is_held() -> None:
    env = EnvConfig.get_choice_class("gym")(task="Cart-v0", package="tests.training.point_env")
    envs = make_env(env, n_envs=2)
    driver = Counting()
    episodes = roll_out(envs["gym"][0], driver, episodes=2, seed=3, repeat=4)
    close_envs(envs)
    assert [episode.steps for episode in episodes] == [60, 60]
    assert driver.asked == 15


def test_what_is_trained_at_half_the_rate_acts_at_half_the_rate(data: Path, run: Path, tmp_path: Path) -> None:
    """The crane is told places, so that one which is told twice as seldom moves half as fast."""
    crane = {"path": str(data / "crane"), "key": "c", "env": CRANE, "transforms": CRANE_STEPS}
    steps = {}
    for rate in (10, 5):
        (tmp_path / "mix.json").write_text(json.dumps({"dataset": {"rate": rate, "datasets": [crane]}}))
        argv = ["eval", str(run), f"--config={tmp_path / 'mix.json'}", f"--output_dir={tmp_path / str(rate)}"]
        assert main([*argv, "--episodes=5", "--videos=0"]) == 0
        found = json.loads((tmp_path / str(rate) / "eval.json").read_text())["c"]
        assert found["success"] == 1.0
        steps[rate] = [episode["steps"] for episode in found["of_episode"]]
    for native, held in zip(steps[10], steps[5], strict=True):
        assert 2 * native - 2 <= held <= 2 * native + 2


def test_the_length_of_what_is_executed_is_each_environments_own(run: Path) -> None:
    policy = load_policy(run / "checkpoints" / "last" / "pretrained_model", "cpu")
    with executing(policy, 3):
        assert policy.config.n_action_steps == 3
    assert policy.config.n_action_steps == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"env": CART | {"type": "gim"}}, "datasets[0].env.type (go/cart): found 'gim', expected one of"),
        (
            {"env": CART | {"n_action_steps": 0}},
            "datasets[0].env.n_action_steps (go/cart): found 0, expected 1 or more",
        ),
        ({"env": CART | {"n_action_steps": 4}}, "n_action_steps: found 4, expected 1 to 3"),
        ({"env": CART | {"repeat": 0}}, "datasets[0].env.repeat (go/cart): found 0, expected 1 or more"),
        (
            {"env": CART | {"task": "Cat-v0"}},
            "source 'go/cart' cannot be evaluated: gymnasium has no environment 'Cat-v0'",
        ),
        ({"env": None, "eval": True}, "does not say in which environment"),
        (
            {
                "feature_map": {"observation.state": "observation.place"},
                "env": CART | {"rename_map": {"observation.state": "x"}},
            },
            "needs the observation 'observation.state'",
        ),
        (
            {"env": CART | {"rename_map": {"observation.stat": "observation.state"}}},
            "rename_map names 'observation.stat'",
        ),
        ({"env": {"type": "robomix", "task": "fetch"}}, "of shape (2,), and is given an observation of shape (8,)"),
        ({"feature_map": {"action": "observation.told"}}, "the mixture has no 'action' to learn"),
    ],
)
def test_what_cannot_be_evaluated_is_told_before_the_training(
    change: dict[str, Any], expected: str, data: Path, tmp_path: Path, capsys: Any
) -> None:
    config = json.loads(mixture_file(data, tmp_path / "mix.json").read_text())
    first = config["dataset"]["datasets"][0] | change
    config["dataset"]["datasets"] = [{key: value for key, value in first.items() if value is not None}]
    (tmp_path / "mix.json").write_text(json.dumps(config))
    assert main(["train", f"--config_path={tmp_path / 'mix.json'}", f"--output_dir={tmp_path / 'out'}"]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["nowhere"], "nowhere does not exist. Expected a checkpoint such as"),
        (["{run}", "--only", "crone"], "no dataset 'crone' to evaluate. Did you mean 'crane'?"),
        (["{run}", "--episodes=0"], "episodes: found 0, expected 1 or more."),
        (["{run}", "--device=tpu9"], "device: found 'tpu9'"),
        (["{run}", "--config={data}/robomimic.json"], "is a config of robomimic's. Leave --config out"),
        (["{run}", "--seed=-1"], "seed: found -1, expected 0 or more"),
        (["{run}", "--config={data}/cart/meta/info.json"], "has no block `dataset:`"),
    ],
)
def test_mistakes_on_the_command_line_are_told(
    argv: list[str], expected: str, run: Path, data: Path, tmp_path: Path, capsys: Any
) -> None:
    (data / "robomimic.json").write_text('{"algo_name": "bc", "train": {}}')
    filled = [word.format(run=run, data=data) for word in argv]
    assert main(["eval", *filled, f"--output_dir={tmp_path}"]) == 2
    assert expected in capsys.readouterr().err


def broken(how: str) -> dict[str, Any]:
    return CART | {"task": "Broken-v0", "env_kwargs": {"how": how}}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("step", "the environment failed in the episode of seed 1000000: RuntimeError: the motor is hot"),
        (
            "render",
            "source 'c' cannot be evaluated: environment 'Broken-v0' cannot be drawn for a video: the lamp is out",
        ),
        ("nan", "the observation 'observation.state' is NaN or infinite"),
    ],
)
def test_a_simulator_that_fails_is_told_with_the_episode(
    how: str, expected: str, data: Path, run: Path, tmp_path: Path, capsys: Any
) -> None:
    source = {"path": str(data / "cart"), "key": "c", "env": broken(how)}
    (tmp_path / "mix.json").write_text(json.dumps({"dataset": {"datasets": [source]}}))
    argv = ["eval", str(run), f"--config={tmp_path / 'mix.json'}", f"--output_dir={tmp_path / 'out'}", "--episodes=1"]
    assert main(argv) == 2
    assert expected in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.mp4"))


def test_a_simulator_that_fails_does_not_take_the_training_with_it(data: Path, tmp_path: Path, capsys: Any) -> None:
    config = json.loads(mixture_file(data, tmp_path / "mix.json", steps=4, env_eval_freq=2).read_text())
    config["dataset"]["datasets"] = [{"root": str(data / "cart"), "name": "c", "env": broken("step")}]
    (tmp_path / "mix.json").write_text(json.dumps(config))
    assert main(["train", f"--config_path={tmp_path / 'mix.json'}", f"--output_dir={tmp_path / 'out'}"]) == 2
    assert "the motor is hot" in capsys.readouterr().err
    assert (tmp_path / "out" / "checkpoints" / "last").resolve().name == "000002"


def test_a_training_that_did_not_start_leaves_no_folder(data: Path, tmp_path: Path, capsys: Any) -> None:
    config = json.loads(mixture_file(data, tmp_path / "mix.json").read_text())
    config["dataset"]["datasets"] = [{"root": str(data / "cart"), "name": "c", "env": broken("render")}]
    (tmp_path / "mix.json").write_text(json.dumps(config))
    assert main(["train", f"--config_path={tmp_path / 'mix.json'}", f"--output_dir={tmp_path / 'out'}"]) == 2
    assert "the lamp is out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_text_is_no_success(data: Path, run: Path, tmp_path: Path) -> None:
    source = {"path": str(data / "cart"), "key": "c", "env": broken("text")}
    (tmp_path / "mix.json").write_text(json.dumps({"dataset": {"datasets": [source]}}))
    argv = ["eval", str(run), f"--config={tmp_path / 'mix.json'}", f"--output_dir={tmp_path / 'out'}", "--episodes=1"]
    assert main([*argv, "--videos=0"]) == 0
    assert json.loads((tmp_path / "out" / "eval.json").read_text())["c"]["success"] == 0.0


def test_weights_that_are_not_all_there_are_no_policy(run: Path, tmp_path: Path, capsys: Any) -> None:
    from safetensors.torch import load_file, save_file

    model = tmp_path / "model"
    shutil.copytree(run / "checkpoints" / "last" / "pretrained_model", model)
    weights = load_file(model / "model.safetensors")
    lost = sorted(weights)[0]
    save_file({key: value for key, value in weights.items() if key != lost}, model / "model.safetensors")
    assert main(["eval", str(model), f"--output_dir={tmp_path / 'out'}"]) == 2
    said = capsys.readouterr().err
    assert "cannot be loaded" in said
    assert lost in said


@pytest.mark.parametrize("output", ["file", "file/below", "done"])
def test_results_are_not_written_over_and_not_lost_for_want_of_a_folder(
    output: str, run: Path, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "eval.json").write_text("{}")
    assert main(["eval", str(run), f"--output_dir={tmp_path / output}"]) == 2
    said = capsys.readouterr().err
    assert "Choose another" in said
    assert "rollouts" not in said


def test_evaluation_does_not_change_the_training(data: Path, run: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    config = mixture_file(data, tmp_path / "mix.json", env_eval_freq=0)
    assert main(["train", f"--config_path={config}", f"--output_dir={tmp_path / 'out'}"]) == 0
    assert not evaluations(tmp_path / "out")
    weights = [
        load_file(output / "checkpoints/last/pretrained_model/model.safetensors") for output in (run, tmp_path / "out")
    ]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert np.isfinite([float(value.sum()) for value in weights[0].values()]).all()
