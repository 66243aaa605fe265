"""Trainings that tell the policy where its samples are from: each robot's folder acts by its plain observations."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from robomix.cli.main import main
from robomix.config import MixtureConfig
from robomix.errors import ConfigError
from robomix.formats import open_dataset
from robomix.mixture.factory import make_mixture
from robomix.training.conditioning import check_condition, check_weights
from robomix.training.lerobot import PreTrainedConfig
from robomix.training.robot_folder import read_robot, robots_of_training
from robomix.training.runner import PolicyRunner, load_policy, load_processors
from robomix.training.unread_prompts import warn_of_unread_prompts
from tests.training.point_env import Cart, Crane
from tests.training.small import act_config
from tests.training.test_evaluation import BC, CART, CRANE, CRANE_STEPS
from tests.training.test_evaluation import write as write_point
from tests.training.test_loop import SMALL, assert_same_parameters, mixture_file

STATE, ENV, OWN = "observation.state", "observation.environment_state", "observation.embodiment"
WIDTH = {"arm": 3, "crane": 5}
MODES: dict[str, dict[str, Any]] = {
    "one-hot of the source": {"condition_on": "source", "normalize_by": "global"},
    "index of the group": {"condition_on": "group", "condition_as": "index", "normalize_by": "embodiment"},
    "a key of its own": {"condition_on": "source", "condition_key": OWN, "normalize_by": "global"},
    "in place of an environment state": {"condition_on": "group", "condition_key": ENV, "normalize_by": "source"},
}
TOLD = {"one-hot of the source": {"arm": [1, 0], "crane": [0, 1]}, "index of the group": {"arm": [0], "crane": [1]}}
SMALL_BC = BC | {"hidden_dims": [16]}


def block(data: Path, mode: str, **more: Any) -> dict[str, Any]:
    renamed = {"feature_map": {ENV: None}} if MODES[mode].get("condition_key") == ENV else {}
    return MODES[mode] | {"datasets": [{"root": str(data / name)} | renamed for name in WIDTH]} | more


def train(data: Path, out: Path, mode: str, *flags: str, **settings: Any) -> int:
    policy = SMALL_BC if mode == "a key of its own" else SMALL
    config = mixture_file(
        data, data / "mix.json", dataset=block(data, mode), **{"policy": policy, "steps": 2} | settings
    )
    return main(["train", f"--config_path={config}", f"--output_dir={out}", *flags])


@pytest.fixture(scope="module")
def runs(data: Path) -> dict[str, Path]:
    """A checkpoint of each mode."""
    for mode in MODES:
        assert train(data, data / mode, mode) == 0
    return {mode: data / mode / "checkpoints" / "last" for mode in MODES}


def frame(data: Path, name: str) -> dict[str, torch.Tensor]:
    """What a robot observes in the fifth frame of its dataset."""
    dataset = open_dataset(data / name)
    return {key: torch.from_numpy(dataset.column(key)[4:5].copy()) for key in (STATE, ENV)}


@pytest.mark.parametrize("mode", TOLD)
@pytest.mark.parametrize("name", WIDTH)
def test_a_folder_acts_on_the_plain_state_as_the_shared_policy_that_is_told(
    runs: dict[str, Path], data: Path, mode: str, name: str
) -> None:
    folder = runs[mode] / "pretrained_model" / name
    own, shared = load_policy(folder, "cpu"), load_policy(runs[mode] / "training_state" / "policy", "cpu")
    assert own.config.input_features[STATE].shape == (WIDTH[name],)
    told = torch.tensor([TOLD[mode][name]], dtype=torch.float32)
    assert shared.config.input_features[STATE].shape == (told.shape[1] + 5,)
    before, _ = load_processors(own, folder)
    seen = before({**frame(data, name), "task": ["go"]})
    padding = torch.zeros(1, 5 - WIDTH[name])
    given = {STATE: torch.cat([told, seen[STATE], padding], 1), ENV: torch.cat([seen[ENV], padding], 1)}
    expected = shared.predict_action_chunk(given)[..., : WIDTH[name]]
    torch.testing.assert_close(own.predict_action_chunk(seen), expected, rtol=0, atol=1e-6)
    other = shared.predict_action_chunk(given | {STATE: torch.cat([1 - told, seen[STATE], padding], 1)})
    assert not torch.allclose(other[..., : WIDTH[name]], expected)


@pytest.mark.parametrize("mode", ["a key of its own", "in place of an environment state"])
def test_a_key_of_its_own_is_given_by_robomix_and_named_for_lerobot(
    runs: dict[str, Path], data: Path, mode: str
) -> None:
    pretrained, key = runs[mode] / "pretrained_model", MODES[mode]["condition_key"]
    for name, values in (("arm", [1.0, 0.0]), ("crane", [0.0, 1.0])):
        assert read_robot(pretrained / name)["given"] == {key: values}
        (note,) = read_robot(pretrained / name)["notes"]
        assert f"LeRobot must be given {key!r} as {values}" in note
        policy = load_policy(pretrained / name, "cpu")
        before, after = load_processors(policy, pretrained / name)
        seen = {k: value for k, value in frame(data, name).items() if k != key}
        expected = after(policy.select_action(before({**seen, key: torch.tensor([values]), "task": ["go"]})))
        acted = PolicyRunner(pretrained / name)({k: value[0].numpy() for k, value in seen.items()})
        np.testing.assert_allclose(acted, expected[0].numpy(), rtol=1e-6)


def test_the_entries_are_not_normalized_and_the_robots_own_are(runs: dict[str, Path], data: Path) -> None:
    shared = load_policy(runs["index of the group"] / "training_state" / "policy", "cpu")
    before, _ = load_processors(shared, runs["index of the group"] / "training_state" / "policy")
    made = before({STATE: torch.tensor([[1.0, 2, 3, 4, 5, 6]]), ENV: torch.zeros(1, 5), "task": ["go"]})[STATE]
    assert made[0, 0] == 1
    column = open_dataset(data / "arm").column(STATE)  # of the first group
    torch.testing.assert_close(made[0, 1:4], torch.from_numpy((np.float32([2, 3, 4]) - column.mean(0)) / column.std(0)))


def test_sources_that_are_told_apart_have_folders_with_the_statistics_of_their_group(runs: dict[str, Path]) -> None:
    checkpoint = runs["one-hot of the source"]
    record = json.loads((checkpoint / "pretrained_model" / "mixture.json").read_text())
    assert record["groups"] == {"arm": "global", "crane": "global"}
    assert record["folders"] == {"arm": "arm", "crane": "crane"}
    means = []
    for name in WIDTH:
        policy = load_policy(checkpoint / "pretrained_model" / name, "cpu")
        _, after = load_processors(policy, checkpoint / "pretrained_model" / name)
        means.append(after(torch.zeros(1, WIDTH[name]))[0])
    torch.testing.assert_close(means[0], means[1][:3])


@pytest.mark.parametrize("mode", MODES)
def test_a_resumed_run_is_the_uninterrupted_one_and_is_told_the_same(
    data: Path, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    assert train(data, tmp_path / "out", mode, steps=1) == 0
    again = ["train", "--resume=true", f"--output_dir={tmp_path / 'out'}", "--steps=2"]
    assert main([*again, "--dataset.condition_as=" + ("one_hot" if "index" in mode else "index")]) == 2
    assert "cannot continue this run with another `condition_on`" in capsys.readouterr().err
    assert main(again) == 0
    assert_same_parameters(runs[mode], tmp_path / "out" / "checkpoints" / "last")


def test_a_new_robot_is_taken_for_one_of_the_training(
    data: Path, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exported for the data of `arm` and as `arm`, it is the policy of `arm`; as another it is not."""
    mix = tmp_path / "mix.json"
    mix.write_text(json.dumps({"dataset": {"datasets": [{"root": str(data / "arm"), "name": "new"}]}}))
    checkpoint = runs["index of the group"]
    export = ["export", str(checkpoint), f"--config={mix}", "--source=new"]
    assert main([*export, f"--out={tmp_path / 'none'}"]) == 2
    assert "with --condition=NAME: one of arm, crane" in capsys.readouterr().err
    assert main([*export, f"--out={tmp_path / 'none'}", "--condition=carne"]) == 2
    assert "--condition=carne: expected one of arm, crane. Did you mean 'crane'?" in capsys.readouterr().err
    acted = {}
    for name in WIDTH:
        assert main([*export, f"--out={tmp_path / name}", f"--condition={name}"]) == 0
        acted[name] = PolicyRunner(tmp_path / name)(
            {key: value[0].numpy() for key, value in frame(data, "arm").items()}
        )
    trained = PolicyRunner(checkpoint / "pretrained_model" / "arm")
    expected = trained({key: value[0].numpy() for key, value in frame(data, "arm").items()})
    np.testing.assert_allclose(acted["arm"], expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(acted["crane"], expected)
    assert main(["export", str(checkpoint), "--group=arm", f"--out={tmp_path / 'copy'}", "--condition=arm"]) == 2
    assert "--condition is for a dataset that was not in the training" in capsys.readouterr().err


def test_a_policy_that_was_told_nothing_refuses_a_condition(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = mixture_file(data, tmp_path / "mix.json", steps=1)
    assert main(["train", f"--config_path={config}", f"--output_dir={tmp_path / 'out'}"]) == 0
    resumed = ["train", "--resume=true", f"--output_dir={tmp_path / 'out'}", "--steps=2"]
    assert main([*resumed, "--dataset.condition_on=source"]) == 2
    assert "none then, source (one_hot of arm, crane, in observation.state) now. Leave" in capsys.readouterr().err
    flags = [f"--config={config}", "--source=arm", f"--out={tmp_path / 'policy'}", "--condition=arm"]
    assert main(["export", str(tmp_path / "out"), *flags]) == 2
    assert "was trained without `condition_on`. Leave the flag out." in capsys.readouterr().err


@pytest.mark.parametrize("key", [STATE, OWN])
def test_robots_that_are_told_apart_are_evaluated_as_their_folders_are(tmp_path: Path, key: str, capsys: Any) -> None:
    """The simulator knows nothing of the entries; training and `robomix eval` find the same."""
    write_point(tmp_path / "cart", Cart())
    write_point(tmp_path / "crane", Crane())
    sources = [
        {"root": str(tmp_path / "cart"), "name": "cart", "env": CART},
        {"root": str(tmp_path / "crane"), "name": "crane", "env": CRANE, "transforms": CRANE_STEPS},
    ]
    config = mixture_file(
        tmp_path,
        tmp_path / "mix.json",
        dataset={"condition_on": "source", "condition_key": key, "datasets": sources},
        policy=BC,
        batch_size=64,
        steps=150,
        save_freq=0,
        log_freq=0,
        eval={"n_episodes": 3, "batch_size": 3, "use_async_envs": False},
    )
    out = tmp_path / "run"
    assert main(["train", f"--config_path={config}", f"--output_dir={out}"]) == 0
    found = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["eval"]
    capsys.readouterr()
    assert main(["eval", str(out), "--episodes=3", "--json", f"--output_dir={tmp_path / 'eval'}", "--videos=0"]) == 0
    again = json.loads(capsys.readouterr().out)
    for name in ("cart", "crane"):
        assert again[name]["steps"] == found[name]["steps"]
        assert again[name]["reward"] == found[name]["reward"]
        assert found[name]["success"] > 0


def checked(data: Path, policy: Any, **settings: Any) -> None:
    config = MixtureConfig.from_dict({"datasets": [{"root": str(data / name)} for name in WIDTH]} | settings)
    check_condition(make_mixture(config).schema, policy)


def config_of(kind: str, **settings: Any) -> Any:
    return PreTrainedConfig.get_choice_class(kind)(device="cpu", push_to_hub=False, **settings)


def test_a_condition_that_would_tell_nothing_is_refused(data: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"the same of every sample, 'global'. All sources are of one: set `normalize_by`"
    ):
        checked(data, act_config(), condition_on="group")
    with pytest.raises(ConfigError, match=r"the same of every sample, 'arm'. There is one source."):
        checked(data, act_config(), condition_on="source", datasets=[{"root": str(data / "arm")}])
    with pytest.raises(ConfigError, match=r"condition_on does not work with policy 'vqbet'"):
        checked(data, config_of("vqbet"), condition_on="source")
    with pytest.raises(ConfigError, match=r"'observation.embodiment', and policy 'act' takes no vectors but .*Leave"):
        checked(data, act_config(), condition_on="source", condition_key=OWN)
    with pytest.raises(ConfigError, match=r"which pi05 reads as words. Tell it by the text it reads: `prompt: "):
        checked(data, config_of("pi05"), condition_on="source")
    with pytest.raises(ConfigError, match=r"adapt_to_pi_aloha changes entries of it by their places"):
        checked(data, config_of("smolvla", adapt_to_pi_aloha=True), condition_on="source")
    with pytest.raises(ConfigError, match=r"has 7 entries with those of condition_on, and policy 'smolvla' takes 6"):
        checked(data, config_of("smolvla", max_state_dim=6), condition_on="source")
    checked(data, config_of("smolvla", max_state_dim=7), condition_on="source")


def test_prompts_are_noted_for_whoever_runs_the_policy_with_lerobot(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [
        {"root": str(data / "arm"), "prompt": ["{task} with the {robot}", "{task}"]},
        {"root": str(data / "crane")},
    ]
    said = "Tasks of source 'arm' were put as 'TASK with the arm' or 'TASK': give LeRobot such a text as the task."
    for by in ("source", "global"):
        out = tmp_path / by
        config = mixture_file(data, tmp_path / "mix.json", steps=1, dataset={"normalize_by": by, "datasets": sources})
        assert main(["train", f"--config_path={config}", f"--output_dir={out}"]) == 0
        assert capsys.readouterr().err.count(said) == 1
        model = out / "checkpoints" / "last" / "pretrained_model"
        assert json.loads((model / "mixture.json").read_text())["notes"] == [said]
    notes = read_robot(tmp_path / "source/checkpoints/last/pretrained_model/arm")["notes"]
    assert notes == [said]


def test_prompts_are_noted_for_policies_that_cannot_be_cut_too(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    sources = [{"root": str(data / "arm"), "prompt": "please {task}"}, {"root": str(data / "crane")}]
    mixture = make_mixture(MixtureConfig.from_dict({"datasets": sources}))
    policy = SimpleNamespace(config=SimpleNamespace(type="vqbet"))
    assert robots_of_training(mixture, {"arm": "arm", "crane": "crane"}, policy) is None
    (record,) = [record for record in caplog.records if "were put as 'please TASK'" in record.message]
    assert record.levelname == "WARNING"


@pytest.mark.parametrize("policy", [SMALL, SMALL_BC], ids=["act", "bc"])
def test_a_new_robot_without_a_state_is_told_by_its_weights(data: Path, tmp_path: Path, policy: dict[str, Any]) -> None:
    """What is told stands in front of a state that it does not have: its folder takes zeros for that, or nothing."""
    out, mix = tmp_path / "out", tmp_path / "mix.json"
    assert train(data, out, "one-hot of the source", "--save_freq=0", policy=policy) == 0
    entry = {"root": str(data / "arm"), "name": "new", "feature_map": {STATE: None}}
    mix.write_text(json.dumps({"dataset": {"datasets": [entry]}}))
    flags = [f"--config={mix}", "--source=new", "--condition=crane", f"--out={tmp_path / 'new'}"]
    assert main(["export", str(out), *flags]) == 0
    own = load_policy(tmp_path / "new", "cpu")
    shared = load_policy(out / "checkpoints" / "last" / "training_state" / "policy", "cpu")
    before, after = load_processors(own, tmp_path / "new")
    seen = {ENV: frame(data, "arm")[ENV]}
    normalized = before({**seen, "task": ["go"]})[ENV]
    given = {
        STATE: torch.tensor([[0.0, 1, 0, 0, 0, 0, 0]]),
        ENV: torch.cat([normalized, torch.zeros(1, 2)], 1),
    }
    expected = after(shared.predict_action_chunk(given)[:, 0, :3])
    acted = PolicyRunner(tmp_path / "new")({ENV: seen[ENV][0].numpy()})
    np.testing.assert_allclose(acted, expected[0].detach().numpy(), rtol=1e-5, atol=1e-6)


def further(data: Path, weights: Path, out: Path, mode: str, *flags: str, **more: Any) -> int:
    """A new run from the weights in the folder `weights`."""
    config = mixture_file(data, out.with_suffix(".json"), dataset=block(data, mode, **more), policy={}, steps=1)
    return main(["train", f"--config_path={config}", f"--policy.path={weights}", f"--output_dir={out}", *flags])


def test_weights_that_were_told_otherwise_are_refused_and_told_the_same_go_on(
    data: Path, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dry runs say so too. Sources in another order are of the same widths, and each would be taken for another."""
    mode = "one-hot of the source"
    shared, out = runs[mode] / "training_state" / "policy", tmp_path / "out"
    then = "was told by `condition_on`: source (one_hot of arm, crane, in observation.state); this mixture has"
    sources = block(data, mode)["datasets"]
    others: list[tuple[dict[str, Any], str]] = [
        ({"condition_on": None}, "none"),
        ({"condition_as": "index"}, "source (index of arm, crane, in observation.state)"),
        ({"datasets": sources[::-1]}, "source (one_hot of crane, arm, in observation.state)"),
    ]
    for change, now in others:
        for flags in (["--dry_run=true"], []):
            assert further(data, shared, out, mode, *flags, **change) == 2
            assert f"{then} {now}. Tell it the same" in capsys.readouterr().err
    assert further(data, shared, out, mode) == 0


def test_the_policy_of_one_robot_goes_on_untold(
    data: Path, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mode = "one-hot of the source"
    own = runs[mode] / "pretrained_model" / "arm"
    alone = {"condition_on": None, "datasets": [{"root": str(data / "arm")}]}
    assert further(data, own, tmp_path / "alone", mode, **alone) == 0
    two = [{"root": str(data / "arm"), "name": name} for name in ("one", "two")]
    assert further(data, own, tmp_path / "both", mode, datasets=two) == 2
    said = capsys.readouterr().err
    assert "takes 'observation.state' of shape (3,), and the mixture has it of shape (5,), of which" in said
    assert "`condition_on` puts 2 in front" in said


def test_weights_that_take_no_such_vector_cannot_be_told_by_it(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mode = "a key of its own"
    config = mixture_file(
        data, tmp_path / "mix.json", policy=SMALL_BC, dataset={"datasets": block(data, mode)["datasets"]}
    )
    assert main(["train", f"--config_path={config}", f"--output_dir={tmp_path / 'untold'}", "--steps=1"]) == 0
    weights = tmp_path / "untold/checkpoints/last/pretrained_model"
    assert further(data, weights, tmp_path / "out", mode) == 2
    assert f"condition_key is {OWN!r}, and the policy in {weights} takes no such vector" in capsys.readouterr().err


def test_a_pretrained_state_layer_that_is_shifted_is_told_of(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Policies that pad inside take any width, and would read each entry as another."""
    config = MixtureConfig.from_dict(
        {"datasets": [{"root": str(data / name)} for name in WIDTH], "condition_on": "source"}
    )
    policy = config_of("smolvla")
    policy.pretrained_path = "lerobot/smolvla_base"
    check_weights(make_mixture(config).schema, policy)
    (said,) = caplog.messages
    assert said.startswith("condition_on puts 2 entries in front of observation.state, and the weights in lerobot/smol")
    assert "`prompt: '{task} with the {robot}'` in each dataset tells the same" in said


def test_a_dry_run_refuses_to_resume_what_the_run_would(
    data: Path, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    again = ["train", "--resume=true", f"--output_dir={data / 'one-hot of the source'}", "--steps=4", "--dry_run=true"]
    assert main(again) == 0
    assert main([*again, "--dataset.condition_as=index"]) == 2
    assert "cannot continue this run with another `condition_on`" in capsys.readouterr().err
    assert main([*again, "--dataset.normalize_by=source"]) == 2
    assert "cannot continue this run with other normalization groups" in capsys.readouterr().err


def test_prompts_that_the_policy_does_not_read_are_told_of(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [
        {"root": str(data / "arm"), "prompt": "{task} with the {robot}"},
        {"root": str(data / "crane"), "paraphrases": {"lift": ["raise"]}},
    ]
    config = mixture_file(data, tmp_path / "mix.json", dataset={"datasets": sources})
    dry = ["train", f"--config_path={config}", f"--output_dir={tmp_path / 'out'}", "--dry_run=true"]
    assert main(dry) == 0
    assert "`prompt` and `paraphrases` of 'arm' and of 'crane' have no effect: policy 'act' reads no text. `cond" in (
        capsys.readouterr().err
    )
    config = mixture_file(data, tmp_path / "mix.json", dataset={"datasets": [{"root": str(data / "arm")}]})
    assert main(dry) == 0
    assert "no effect" not in capsys.readouterr().err


def test_prompts_are_read_by_policies_with_a_tokenizer(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = MixtureConfig.from_dict({"datasets": [{"root": str(data / "arm"), "prompt": "{task} now"}]})
    sources = make_mixture(config).sources
    for kind in ("smolvla", "pi0", "multi_task_dit", "vqbet"):
        warn_of_unread_prompts(kind, sources)
    assert caplog.messages == ["`prompt` and `paraphrases` of 'arm' have no effect: policy 'vqbet' reads no text."]
