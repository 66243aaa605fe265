"""The mixture files of the documents that introduced them, as they stand, on datasets of the shapes they speak of."""

from pathlib import Path

import pytest

from robomix import MixtureConfig, make_mixture, streams
from robomix.config import load_config_file
from tests.conftest import PROJECT
from tests.fixtures import write_v21, write_v30

ROBOCASA = ("robot0_agentview_left", "robot0_agentview_right", "robot0_eye_in_hand")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """RoboCasa: 3 cameras, 16 and 12; LIBERO-plus: 2 cameras, 8 and 7; RoboMME: other names, 8 and 8."""
    data = tmp_path_factory.mktemp("data")
    small = {"lengths": (4, 6)}
    write_v30(data / "a", **small, state_dim=16, action_dim=12, cameras=cameras(*ROBOCASA), fps=20)
    write_v21(data / "b", **small, state_dim=8, action_dim=7, cameras=cameras("front", "wrist"), fps=10)
    named = {"state_key": "state", "action_key": "actions", "cameras": {"image": (32, 48), "wrist_image": (32, 48)}}
    write_v30(data / "c", **small, state_dim=8, action_dim=8, **named)
    return [data / name for name in "abc"]


def cameras(*names: str) -> dict[str, tuple[int, int]]:
    return {f"observation.images.{name}": (32, 48) for name in names}


def test_the_feature_map_document_works_as_it_stands(folders: list[Path]) -> None:
    block = load_config_file(PROJECT / "examples/lerobot_feature_map.yaml")["dataset"]
    for entry, folder in zip(block["datasets"], folders, strict=True):
        entry["root"] = str(folder)
    made = make_mixture(MixtureConfig.from_dict(block), delta_indices={"action": range(5)})
    assert made.camera_keys == [f"observation.images.{name}" for name in ("front_left", "front_right", "wrist")]
    batch = made.__getitems__([0, 12, 22])
    assert tuple(batch["action"].shape) == (3, 5, 12)
    assert tuple(batch["observation.state"].shape) == (3, 16)
    assert batch["action_dim_is_pad"].sum(1).tolist() == [0, 5, 4]
    assert batch["observation.images.front_right_is_pad"].tolist() == [False, True, True]
    assert not batch["observation.images.front_right"][1:].any()
    assert [s.probability for s in streams(made.sources, 0.0)] == pytest.approx([1 / 1.8, 0.5 / 1.8, 0.3 / 1.8])


def test_the_list_document_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path))
    pusht, aloha = tmp_path / "lerobot/pusht", tmp_path / "lerobot/aloha_sim_insertion_human"
    write_v30(pusht, lengths=(4, 6), extra={"next.reward": (1,)}, cameras={"observation.image": (32, 32)})
    write_v30(aloha, lengths=(3, 2), cameras={"observation.images.top": (32, 48)})
    block = load_config_file(PROJECT / "examples/lerobot_list.json")["dataset"]
    made = make_mixture(MixtureConfig.from_dict(block))
    assert set(made.schema.features) == {"observation.state", "action"}
    assert made.schema.dropped["observation.image"] == ("lerobot/pusht",)
    assert made.repo_id_to_index == {"lerobot/pusht": 0, "lerobot/aloha_sim_insertion_human": 1}
    assert [s.probability for s in streams(made.sources, 1.0)] == pytest.approx([10 / 15, 5 / 15])
