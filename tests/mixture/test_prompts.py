"""The text a sample's policy reads: templates, wordings, and the same choice whoever reads the sample."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robomix.config import MixtureConfig
from robomix.errors import ConfigError
from robomix.mixture.dataset import Mixture, Request
from robomix.mixture.factory import make_mixture
from robomix.mixture.live import LiveSource
from robomix.mixture.loader import make_loader
from robomix.mixture.resolve import make_schedule
from tests.fixtures import write_v30
from tests.memory import ArrayDataset, mixture, source

TASKS = ["pick the cube", "open the drawer"]
GOLDEN = [1, 1, 1, 2, 0, 2, 1, 0, 2, 2, 0, 0]
WORDINGS = {"pick the cube": ["pick the cube", "grab the cube", "take the cube"]}


def arm(robot_type: str | None = "so100") -> ArrayDataset:
    columns = {"observation.state": np.ones((8, 2), np.float32), "action": np.ones((8, 2), np.float32)}
    tasks = np.array([0] * 4 + [1] * 4)
    return ArrayDataset(columns, [4, 4], tasks=TASKS, task_of_row=tasks, robot_type=robot_type)


def texts(made: Mixture, index: int, draws: range) -> list[str]:
    n = len(draws)
    return list(made.__getitems__(Request(np.full(n, index), np.arange(draws.start, draws.stop)))["task"])


def test_fields_are_filled_in() -> None:
    template = "{task} with the {robot} of {source} in {group} {{now}}"
    made = mixture(source(arm(), "desk", prompt=template, group="lab"))
    assert made[5]["task"] == "open the drawer with the so100 of desk in lab {now}"
    assert made[5]["task_index"] == 1
    assert made.meta.tasks == tuple(TASKS)  # as recorded


def test_each_text_is_as_likely_as_the_others() -> None:
    """2 templates and 3 wordings over 6,000 draws: chi-square of 5 degrees of freedom, 20.5 is its 99.9 percentile."""
    made = mixture(source(arm(), prompt=["{task}", "{robot}: {task}"], paraphrases=WORDINGS))
    counts = Counter(texts(made, 0, range(6000)))
    expected = {f"{start}{words}" for start in ("", "so100: ") for words in WORDINGS["pick the cube"]}
    assert counts.keys() == expected
    assert sum((n - 1000) ** 2 / 1000 for n in counts.values()) < 20.5


def test_a_task_without_paraphrases_keeps_its_words() -> None:
    made = mixture(source(arm(), paraphrases=WORDINGS))
    assert set(texts(made, 7, range(50))) == {"open the drawer"}


def test_the_choice_is_pinned_to_seed_and_draw() -> None:
    """Which wording each of the first draws has. It must stay, or resumed runs read other texts."""
    made = mixture(source(arm(), paraphrases=WORDINGS), seed=7)
    place = {words: i for i, words in enumerate(WORDINGS["pick the cube"])}
    assert [place[text] for text in texts(made, 0, range(12))] == GOLDEN
    assert [place[text] for text in texts(made, 3, range(12))] == GOLDEN  # of the draw, not of the frame
    other = mixture(source(arm(), paraphrases=WORDINGS), seed=8)
    assert texts(other, 0, range(12)) != texts(made, 0, range(12))


def test_the_choice_does_not_depend_on_the_rest_of_the_batch() -> None:
    made = mixture(source(arm(), "a", paraphrases=WORDINGS), source(arm(), "b", prompt=["{task}", "{source}"]))
    together = made.__getitems__(Request(np.array([0, 8, 1, 15]), np.array([3, 4, 5, 6])))["task"]
    alone = [made.__getitems__(Request(np.array([i]), np.array([k])))["task"][0] for i, k in
             ((0, 3), (8, 4), (1, 5), (15, 6))]  # fmt: skip
    assert together == alone


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "arm"
    write_v30(folder, cameras={})
    return folder


def config(data: Path, **block: Any) -> MixtureConfig:
    entry = {"root": str(data), "prompt": ["{task}", "do: {task}", "{source}: {task}"]}
    return MixtureConfig.from_dict({"datasets": [entry], **block})


def test_texts_are_the_same_with_any_workers_ranks_and_restarts(data: Path) -> None:
    made = make_mixture(config(data), seed=3)
    schedule = make_schedule(made.sources, config(data), seed=3, batch_size=4)
    expected = [batch["task"] for batch in make_loader(made, schedule, stop=6)]
    assert len({text for batch in expected for text in batch}) > 3
    assert [batch["task"] for batch in make_loader(made, schedule, stop=6, num_workers=2)] == expected
    assert [batch["task"] for batch in make_loader(made, schedule, start=4, stop=6)] == expected[4:]
    ranks = [make_loader(made, schedule, stop=6, rank=rank, world_size=2) for rank in (0, 1)]
    assert [one["task"] + other["task"] for one, other in zip(*ranks, strict=True)] == expected


def test_held_out_samples_have_the_first_text(data: Path) -> None:
    held = make_mixture(config(data, val_fraction=0.5)).held_out()
    assert held is not None
    assert {held[i]["task"].partition(" ")[0] for i in range(len(held))} == {"task"}


GRAB = {"pick the cube": ["grab it", "take it"]}


def test_a_robot_that_runs_is_told_the_first_text_of_what_it_is_asked() -> None:
    made = source(arm(), prompt=["{task} with the {robot}", "{task}"], paraphrases=GRAB)
    live = LiveSource(made, {"observation.state": made.features["observation.state"]})
    seen = live.observe({"observation.state": torch.ones(2, 2)}, ["pick the cube", "sing"])
    assert seen["task"] == ["grab it with the so100", "sing with the so100"]


def test_what_the_dataset_does_not_have_is_told() -> None:
    with pytest.raises(
        ConfigError, match=r"source 'a': prompt '\{robot\}' names the robot, and memory .* does not say"
    ):
        source(arm(None), prompt="{robot}")
    with pytest.raises(
        ConfigError, match=r"'pick the cub', which is none of its tasks. Did you mean 'pick the cube'\?"
    ):
        source(arm(), paraphrases={"pick the cub": ["grab it"]})
    assert source(arm(), lang="fold", paraphrases={"fold": ["fold it"]}).text_of("fold") == "fold it"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"prompt": "{tsk}"},
            "prompt (a): names {tsk}, which is no field. Did you mean 'task'? Fields: {task}, {robot}",
        ),
        ({"prompt": "{}"}, "names {}, which is no field"),
        ({"prompt": "{task.__class__}"}, "names {task.__class__}, which is no field"),
        ({"prompt": "{task:>99}"}, "names {task:>99}, which is no field"),
        ({"prompt": "{task!r}"}, "names {task!r}, which is no field"),
        ({"prompt": "{task"}, "A brace itself is written {{ or }}."),
        ({"prompt": []}, "prompt (a): found a list [], expected at least one template"),
        ({"prompt": ["{task}", " "]}, "prompt[1] (a): found ' ', expected a text that says something"),
        ({"prompt": 3}, "prompt (a): found 3, expected text or a list of texts or null"),
        ({"paraphrases": {"fold": []}}, "paraphrases.fold (a): found a list [], expected at least one wording"),
        ({"paraphrases": {"fold": "fold it"}}, "paraphrases.fold (a): found 'fold it', expected a list of texts"),
        ({"paraphrases": {"fold": ["it"]}, "prompt": "{robot}"}, "have no place: `prompt` does not name {task}"),
    ],
)
def test_templates_that_say_nothing_are_refused_by_their_key(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        MixtureConfig.from_dict({"datasets": [{"root": "a"} | entry]})
    assert message in str(error.value)


@pytest.mark.parametrize("prompt", ["{task}", ["{task}", "{robot}"]])
def test_a_config_with_texts_comes_back_from_plain_data(prompt: Any) -> None:
    made = MixtureConfig.from_dict({"datasets": [{"root": "a", "prompt": prompt, "paraphrases": WORDINGS}]})
    plain = made.to_dict()
    assert plain["datasets"][0]["prompt"] == prompt
    assert plain["datasets"][0]["paraphrases"] == WORDINGS
    assert MixtureConfig.from_dict(plain) == made
