"""The mixture file as data: what the documents' files mean, what is refused, and where a source's folder lies."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from robomix.config import MixtureConfig, SourceConfig, TransformConfig, load_config_file, resolve_root
from robomix.errors import ConfigError
from tests.conftest import PROJECT

EXAMPLES = PROJECT / "examples"


def mixture(**changes: Any) -> MixtureConfig:
    return MixtureConfig.from_dict({"datasets": [{"root": "a"}, {"root": "b", "weight": 0.5}]} | changes)


def refusal(block: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        MixtureConfig.from_dict(block)
    return str(caught.value)


def test_the_feature_map_document_means_what_it_says() -> None:
    config = MixtureConfig.from_dict(load_config_file(EXAMPLES / "lerobot_feature_map.yaml")["dataset"])
    assert [source.weight for source in config.datasets] == [1.0, 0.5, 0.3]
    assert (config.features, config.alpha, config.use_imagenet_stats) == ("union", 0.0, True)
    mme = config.datasets[2]
    assert mme.root == "/data/robomme_data_lerobot"
    assert dict(mme.feature_map) == {
        "image": "observation.images.front_left",
        "wrist_image": "observation.images.wrist",
        "state": "observation.state",
        "actions": "action",
    }
    assert mme.transforms == (
        TransformConfig("pad_action", {"target_dim": 12}),
        TransformConfig("pad_state", {"target_dim": 16}),
    )
    assert config.datasets[0].transforms == ()


def test_the_list_document_is_plain_concatenation() -> None:
    config = MixtureConfig.from_dict(load_config_file(EXAMPLES / "lerobot_list.json")["dataset"])
    assert [source.repo_id for source in config.datasets] == ["lerobot/pusht", "lerobot/aloha_sim_insertion_human"]
    assert [source.weight for source in config.datasets] == [1.0, 1.0]
    assert (config.features, config.alpha, config.video_backend) == ("intersection", 1.0, "pyav")
    assert config.image_transforms["enable"] is False


def test_episodes_of_a_list_apply_to_every_dataset() -> None:
    config = MixtureConfig.from_dict({"repo_id": ["me/a", "me/b"], "episodes": [0, 2], "revision": "v3.0"})
    assert [source.episodes for source in config.datasets] == [(0, 2), (0, 2)]
    assert [source.revision for source in config.datasets] == ["v3.0", "v3.0"]


def test_root_is_the_folder_of_one_dataset_and_the_parent_of_several() -> None:
    one = MixtureConfig.from_dict({"repo_id": "me/a", "root": "/data/a"})
    several = MixtureConfig.from_dict({"repo_id": ["me/a", "me/b"], "root": "/data"})
    assert [source.root for source in one.datasets] == ["/data/a"]
    assert [source.root for source in several.datasets] == ["/data/me/a", "/data/me/b"]


def test_explicit_keys_win_over_those_of_the_short_form() -> None:
    config = MixtureConfig.from_dict({"repo_id": ["me/a"], "alpha": 0.5, "features": "union"})
    assert (config.alpha, config.features) == (0.5, "union")


def test_a_dataset_listed_twice_gets_two_names() -> None:
    config = MixtureConfig.from_dict({"repo_id": ["me/a", "me/b", "me/a", "me/a"]})
    assert [source.name for source in config.datasets] == ["me/a", "me/b", "me/a#2", "me/a#3"]
    folders = MixtureConfig.from_dict(
        {"datasets": [{"root": "x/pick"}, {"root": "y/pick"}, {"root": "z", "name": "q"}]}
    )
    assert [source.name for source in folders.datasets] == ["pick", "pick#2", "q"]
    taken = MixtureConfig.from_dict({"datasets": [{"root": "pick"}, {"root": "z", "name": "pick"}]})
    assert [source.name for source in taken.datasets] == ["pick#2", "pick"]


@pytest.mark.parametrize("name", ["lerobot_list.json", "lerobot_feature_map.yaml"])
def test_to_dict_gives_back_an_equal_config(name: str) -> None:
    config = MixtureConfig.from_dict(load_config_file(EXAMPLES / name)["dataset"])
    assert MixtureConfig.from_dict(config.to_dict()) == config
    assert MixtureConfig.from_dict(config.to_dict()).to_dict() == config.to_dict()


def test_a_config_built_in_python_is_checked_too() -> None:
    source = SourceConfig(root="a", weight=-1.0)
    with pytest.raises(ConfigError, match=r"dataset\.datasets\[0\]\.weight \(a\): found -1\.0"):
        MixtureConfig((source,))
    assert MixtureConfig((replace(source, weight=2.0),)).datasets[0].name == "a"


def test_whole_numbers_pass_for_numbers_and_null_for_none() -> None:
    config = mixture(alpha=1, datasets=[{"root": "a", "weight": 2, "transforms": None, "feature_map": None}])
    assert (config.alpha, config.datasets[0].weight, config.datasets[0].transforms) == (1, 2, ())


def test_all_problems_are_told_at_once() -> None:
    text = refusal(
        {"alpha": "1", "datasets": [{"root": "a", "wieght": 1, "episodes": [0, -1]}, {"weight": math.nan, "root": "b"}]}
    )
    assert text.startswith("3 problems\n")
    assert "dataset.alpha: found '1' (text), expected a finite number. Remove the quotes." in text
    assert "dataset.datasets[0].wieght (a): unknown key. Did you mean 'weight'?" in text
    assert "dataset.datasets[1].weight (b): found nan" in text


SOURCES = [
    ({"weight": True}, "weight (a): found true, expected a finite number."),
    ({"weight": -0.1}, "weight (a): found -0.1, expected a number from 0"),
    ({"weight": 10**400}, "weight (a): found 1000"),
    ({"episodes": []}, "episodes (a): found a list [], expected at least one episode."),
    ({"episodes": [1, 1, 2, 2]}, "episodes (a): lists 1, 2 more than once."),
    ({"episodes": [0, -3]}, "episodes[1] (a): found -3"),
    ({"episodes": [0.0]}, "episodes[0] (a): found 0.0, expected a whole number."),
    ({"episodes": 3}, "episodes (a): found 3, expected a list of whole numbers or null."),
    ({"feature_map": {"x": "action", "y": "action"}}, "feature_map (a): maps 'x' and 'y' to the same name 'action'."),
    ({"feature_map": {"x": ""}}, "feature_map.x (a): found '', expected a feature's name"),
    ({"feature_map": {"x": "a/b"}}, "feature_map.x (a): found 'a/b'"),
    ({"feature_map": {"x": "task_index"}}, "feature_map.x (a): found 'task_index', expected a name that robomix does"),
    ({"feature_map": {"x": "action_is_pad"}}, "feature_map.x (a): found 'action_is_pad'"),
    ({"feature_map": {1: "x"}}, "feature_map.1 (a): keys are text"),
    ({"feature_map": ["x"]}, "feature_map (a): found a list ['x'], expected a mapping"),
    ({"transforms": [{"kwargs": {}}]}, "transforms[0] (a): lacks the key `type`."),
    (
        {"transforms": [{"type": "pad_action", "kwarg": {}}]},
        "transforms[0].kwarg (a): unknown key. Did you mean 'kwargs'",
    ),
    ({"transforms": {"type": "pad_action"}}, "transforms (a): found a mapping {'type': 'pad_action'}, expected a list"),
    ({"transforms": ["pad_action"]}, "transforms[0] (a): found 'pad_action', expected a mapping"),
    ({"transforms": [{"type": "x", "kwargs": {"a": math.inf}}]}, "transforms[0].kwargs.a (a): found inf"),
    ({"repo_id": "/data/a"}, "repo_id (/data/a): found '/data/a', expected a name such as 'me/so100_pick'"),
    ({"repo_id": "../../etc"}, "repo_id (../../etc): found '../../etc'"),
    ({"revision": 7}, "revision (a): found 7, expected text or null. Put it in quotes."),
    ({"video_backend": "torchcodek"}, "video_backend (a): found 'torchcodek', expected"),
    ({"alpha": 1.0}, "alpha (a): unknown key. It belongs to `dataset`, not to one of its datasets."),
    ({"root": None}, "dataset.datasets[0]: has neither `repo_id` nor `root`."),
]


@pytest.mark.parametrize(("change", "expected"), SOURCES, ids=[text.split(":")[0] for _, text in SOURCES])
def test_a_source_that_cannot_be_used_is_refused_by_key(change: dict[str, Any], expected: str) -> None:
    text = refusal({"datasets": [{"root": "a"} | change]})
    assert expected in text
    assert text.startswith("dataset.datasets[0]")


BLOCKS = [
    (None, "dataset: found null, expected a mapping"),
    ({}, "dataset: names no dataset."),
    ({"datasets": []}, "dataset.datasets: found a list [], expected at least one dataset."),
    ({"datasets": {"root": "a"}}, "dataset.datasets: found a mapping {'root': 'a'}, expected a list"),
    ({"datasets": ["a"]}, "dataset.datasets[0]: found 'a', expected a mapping with `repo_id` or `root`."),
    ({"datasets": [{"root": "a", "weight": 0}]}, "dataset.datasets: every weight is 0"),
    ({"repo_id": "x", "datasets": [{"root": "a"}]}, "dataset.repo_id: cannot stand beside `datasets`."),
    ({"root": "x", "datasets": [{"root": "a"}]}, "dataset.root: cannot stand beside `datasets`."),
    ({"repo_id": []}, "dataset.repo_id: found an empty list"),
    ({"repo_id": ["a", 3]}, "dataset.repo_id[1]: found 3, expected text."),
    ({"repo_id": "a", "episodes": [2, 2]}, "dataset.episodes: lists 2 more than once."),
    ({"repo_id": "a", "weight": 2}, "dataset.weight: unknown key. It belongs to an entry of `datasets`."),
    ({"repo_id": "a", "alpha": -1}, "dataset.alpha: found -1, expected a number from 0 to 10."),
    ({"repo_id": "a", "features": "unoin"}, "dataset.features: found 'unoin', expected 'union' or 'intersection'. Did"),
    ({"repo_id": "a", "use_imagenet_stats": "yes"}, "found 'yes' (text), expected true or false. Write true"),
    ({"repo_id": "a", "type": "multiple"}, "dataset.type: found 'multiple'"),
    ({"repo_id": ["a", "b"], "type": "single"}, "dataset.type: found 'single', expected 'multi' for 2 datasets."),
    ({"repo_id": "a", "streaming": True}, "dataset.streaming: found true, expected false. Not supported"),
    ({"repo_id": "a", "eval_split": 0.1}, "dataset.eval_split: found 0.1"),
    ({"repo_id": "a", "image_transforms": {"enabled": True}}, "image_transforms.enabled: unknown key. Did you mean"),
    (
        {"repo_id": "a", "image_transforms": {"max_num_transforms": 0}},
        "max_num_transforms: found 0, expected 1 or more",
    ),
    (
        {"datasets": [{"root": "a", "name": "n"}, {"path": "b", "key": "n"}]},
        "datasets[0].name (n): 'n' is another dataset's name (`name` or `key`) too.",
    ),
    ({"datasets": [{"root": "a", "path": "a"}]}, "datasets[0].path (a): is `root`, which is given too. Remove one."),
    (
        {"datasets": [{"root": "a", "eval": False, "env": {"type": "pusht"}}]},
        "env (a): has no effect with `eval: false`",
    ),
    ({"datasets": [{"root": "a", "eval": "yes"}]}, "datasets[0].eval (a): found 'yes' (text), expected true or false"),
    ({"repo_id": "a", 3: 4}, "dataset.3: keys are text"),
]


@pytest.mark.parametrize(("block", "expected"), BLOCKS, ids=[text[:50] for _, text in BLOCKS])
def test_a_block_that_cannot_be_used_is_refused_by_key(block: Any, expected: str) -> None:
    assert expected in refusal(block)


def test_lerobots_own_defaults_are_accepted() -> None:
    block = {"streaming": False, "eval_split": 0.0, "repo_type": "dataset", "return_uint8": True, "episodes": None}
    assert MixtureConfig.from_dict({"repo_id": "me/a"} | block).datasets[0].repo_id == "me/a"


def test_sources_may_be_written_as_in_robomimics_lists() -> None:
    block = {
        "datasets": [{"path": "a.hdf5", "demo_limit": 5, "weight": 2, "eval": True, "lang": "brew", "key": "coffee"}]
    }
    expected = SourceConfig(root="a.hdf5", demo_limit=5, weight=2, eval=True, lang="brew", name="coffee")
    assert MixtureConfig.from_dict(block).datasets == (expected,)


def test_a_source_with_an_environment_is_evaluated_in_it() -> None:
    config = MixtureConfig.from_dict({"datasets": [{"root": "a", "env": {"type": "pusht"}}]})
    assert config.datasets[0].eval
    assert MixtureConfig.from_dict(config.to_dict()) == config


def test_the_file_is_named_in_the_error() -> None:
    with pytest.raises(ConfigError, match=r"^mix\.yaml: dataset\.alpha: found 'a'"):
        MixtureConfig.from_dict({"repo_id": "a", "alpha": "a"}, origin="mix.yaml")


def test_a_dataset_without_root_lies_in_lerobots_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path))
    (tmp_path / "me" / "a").mkdir(parents=True)
    assert resolve_root(SourceConfig(repo_id="me/a")) == tmp_path / "me" / "a"
    assert resolve_root(SourceConfig(repo_id="me/a", root=str(tmp_path))) == tmp_path


def test_a_missing_dataset_says_where_it_was_looked_for_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        resolve_root(SourceConfig(repo_id="me/a", revision="v3.0"))
    folder = tmp_path / "me" / "a"
    assert f"source 'me/a': the folder {folder} does not exist. Opening the mixture downloads it" in str(caught.value)


def test_a_missing_file_is_told_to_be_made_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"source 'fetch': the file .*a.hdf5 does not exist. .* make the file first"):
        resolve_root(SourceConfig(root=str(tmp_path / "a.hdf5"), name="fetch"))


@pytest.mark.parametrize("root", ["missing", "a\0b", "x" * 5000, "\udcff"])
def test_a_root_that_is_no_folder_is_an_error_whatever_it_is(root: str) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        resolve_root(SourceConfig(root=root))


def test_the_home_folder_of_nobody_is_told() -> None:
    with pytest.raises(ConfigError, match="~nobody-here is no user's home folder"):
        resolve_root(SourceConfig(root="~nobody-here/x"))


def test_a_root_may_be_a_file_for_the_formats_that_are_one(tmp_path: Path) -> None:
    file = tmp_path / "demo.hdf5"
    file.touch()
    assert resolve_root(SourceConfig(root=str(file))) == file


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"fps": 0}, "fps (a): found 0, expected frames per second, more than 0"),
        ({"fps": "20"}, "Remove the quotes"),
        ({"demo_limit": 0}, "demo_limit (a): found 0, expected a number of episodes, 1 or more"),
        ({"demo_limit": 2.5}, "expected a whole number"),
        ({"filter_key": ""}, "filter_key"),
        ({"lang": " "}, "lang"),
        ({"filterkey": "train"}, "Did you mean 'filter_key'?"),
    ],
)
def test_what_selects_demonstrations_is_checked(entry: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MixtureConfig.from_dict({"datasets": [{"root": "a"} | entry]})
    assert said in str(caught.value)


def test_a_group_can_be_named_whatever_normalize_by_says_of_the_others() -> None:
    config = MixtureConfig.from_dict({"datasets": [{"root": "a", "group": "arms"}, {"root": "b"}]})
    assert [source.group for source in config.datasets] == ["arms", None]
