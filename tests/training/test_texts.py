"""What policies read in a simulator that is no dataset's own, and that a resumed run reads what it read."""

from pathlib import Path
from typing import Any

import pytest

from robomix.cli.main import main
from robomix.errors import ConfigError
from robomix.training import evaluator as evaluators
from robomix.training.command_line import parse_train_args
from robomix.training.evaluator import Evaluator
from robomix.training.lerobot import make_policy
from robomix.training.normalization import make_processors
from robomix.training.texts import agreed_text
from tests.memory import source
from tests.mixture.test_prompts import arm
from tests.training.point_env import Cart
from tests.training.small import meta_of
from tests.training.test_evaluation import write
from tests.training.test_loop import mixture_file


def reading(monkeypatch: pytest.MonkeyPatch, data: Path, out: Path, *flags: str) -> Any:
    """A config of a small policy that counts as one that reads, for an evaluation in the simulator of a cart."""
    monkeypatch.setattr(evaluators, "READ_NO_TEXT", ())
    env = ["--env.type=gym", "--env.task=Cart-v0", "--env.package=tests.training.point_env", "--env.fps=10"]
    evaluation = ["--eval.n_episodes=1", "--eval.batch_size=1", "--eval.use_async_envs=false", "--steps=1"]
    policy = ["--policy.type=bc", "--policy.device=cpu", "--policy.hidden_dims=[8]"]
    return parse_train_args([f"--dataset.root={data}", f"--output_dir={out}", *env, *evaluation, *policy, *flags])


def test_the_simulator_of_all_puts_its_task_as_the_datasets_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "cart", Cart())
    config = reading(monkeypatch, tmp_path / "cart", tmp_path / "out")
    sources = [source(arm(), name, prompt=["do {task} with the {robot}", "{task}"]) for name in ("a", "b")]
    policy = make_policy(config.policy, ds_meta=meta_of(state=2, action=1))
    before, after = make_processors(policy, {"global": {}}, "cpu").by_group["global"]
    read: list[str] = []

    def preprocess(observation: dict[str, Any]) -> Any:
        read.extend(observation["task"])
        return before(observation)

    evaluator = Evaluator(config, sources, {"a": "global", "b": "global"})
    evaluator(policy, {"global": (preprocess, after)}, step=1)
    assert set(read) == {"do Cart-v0 with the so100"}


def test_the_simulator_of_all_is_refused_where_its_task_would_be_put_in_several_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "cart", Cart())
    config = reading(monkeypatch, tmp_path / "cart", tmp_path / "out")
    sources = [source(arm(), "a", prompt="{source}: {task}"), source(arm(), "b")]
    with pytest.raises(ConfigError, match=r"--env.type=gym .* 'TASK' is 'a: TASK' in a, 'TASK' in b. Give `env` to"):
        Evaluator(config, sources, {"a": "global", "b": "global"})
    monkeypatch.undo()  # bc reads no text
    Evaluator(config, sources, {"a": "global", "b": "global"})


def test_sources_agree_where_the_first_of_their_texts_are_the_same() -> None:
    wordings = {"pick the cube": ["pick the cube", "grab it"]}
    same = [source(arm(), "a", paraphrases=wordings), source(arm(), "b", prompt=["{task}", "{robot}"])]
    assert agreed_text(same, "gym")("pick the cube") == "pick the cube"
    assert agreed_text([source(arm(), "a", prompt="{source}, {task}")], "gym")("go") == "a, go"
    others = [source(arm(), "a", paraphrases={"pick the cube": ["grab it"]}), source(arm(), "b")]
    with pytest.raises(ConfigError, match=r"'pick the cube' is 'grab it' in a, 'pick the cube' in b"):
        agreed_text(others, "gym")


def test_a_resumed_run_reads_the_same_texts(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = [
        {"root": str(data / "arm"), "prompt": "{task} now", "paraphrases": {"pick": ["pick", "grab"]}},
        {"root": str(data / "crane")},
    ]
    out = tmp_path / "out"
    config = mixture_file(data, tmp_path / "mix.json", steps=1, dataset={"datasets": sources})
    assert main(["train", f"--config_path={config}", f"--output_dir={out}"]) == 0
    again = ["train", "--resume=true", f"--output_dir={out}", "--steps=2"]
    for change, message in {
        "0.prompt=please {task}": "prompt of source 'arm' was ['{task} now'], and is ['please {task}'] now. Restore it",
        "0.paraphrases={pick: [grab, pick]}": "paraphrases of source 'arm' was",
        "1.prompt={task}, crane": "prompt of source 'crane' was ['{task}'], and is ['{task}, crane']",
        "1.lang=fold": "lang of source 'crane' was None, and is 'fold'",
    }.items():
        for more in ([], ["--dry_run=true"]):
            assert main([*again, f"--dataset.datasets.{change}", *more]) == 2
            assert f"cannot continue this run with other texts: {message}" in capsys.readouterr().err
    assert main([*again, "--dataset.datasets.0.prompt=['{task} now']", "--dataset.datasets.1.prompt={task}"]) == 0
