"""The policy folder of each robot runs in plain LeRobot, with the robot's own names and numbers, as it does in robomix.

Two robots: `duo` has two cameras and what stands around it, `solo` one camera under another name and fewer joints.
"""

import json
import shutil
import subprocess
import sys
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
from robomix.mixture.live import LiveSource
from robomix.mixture.source import Source
from robomix.training.drivers import SourceDriver, observations_of
from robomix.training.robot_folder import mixture_names, read_robot
from robomix.training.robot_policy import policy_of_robot
from robomix.training.robots import robots_of
from robomix.training.runner import PolicyRunner, load_policy, load_processors
from tests.training.tiny_clip import write_tiny_clip

STATE, ENV = "observation.state", "observation.environment_state"
MAIN, WRIST, OWN = "observation.images.main", "observation.images.wrist", "observation.images.cam_left"
PICTURE = Feature("camera", "uint8", (3, 32, 32), storage="image")
CLIP = "tiny_clip"
"""A folder beside the data, for the policy that needs one."""
POLICIES: dict[str, dict[str, Any]] = {
    "act": {
        "type": "act",
        "dim_model": 16,
        "n_heads": 2,
        "dim_feedforward": 16,
        "n_encoder_layers": 1,
        "n_vae_encoder_layers": 1,
        "latent_dim": 4,
        "chunk_size": 4,
        "n_action_steps": 2,
        "pretrained_backbone_weights": None,
    },
    "diffusion": {
        "type": "diffusion",
        "down_dims": [16, 32],
        "horizon": 8,
        "n_action_steps": 2,
        "num_inference_steps": 2,
        "diffusion_step_embed_dim": 16,
        "spatial_softmax_num_keypoints": 4,
        "pretrained_backbone_weights": None,
        "use_group_norm": True,
    },
    "multi_task_dit": {
        "type": "multi_task_dit",
        "hidden_dim": 16,
        "num_layers": 1,
        "num_heads": 2,
        "timestep_embed_dim": 8,
        "horizon": 8,
        "n_action_steps": 2,
        "num_inference_steps": 2,
        "tokenizer_max_length": 16,
        "image_crop_shape": None,
        "optimizer_lr": 0.05,  # it starts blind, with zeros for all that it observes
        "vision_encoder_name": CLIP,
        "text_encoder_name": CLIP,
    },
    "bc": {"type": "bc", "hidden_dims": [16], "chunk_size": 2, "n_action_steps": 2, "spatial_softmax_num_keypoints": 4},
}
WITHOUT_ROBOMIX = """
import sys
sys.modules["robomix"] = None
import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.policies import get_policy_class, make_pre_post_processors
import lerobot_policy_bc  # as --policy.discover_packages_path does: the plug-in, which stands without robomix
for folder, given, made in zip(*[iter(sys.argv[1:])] * 3):
    config = PreTrainedConfig.from_pretrained(folder)
    policy = get_policy_class(config.type).from_pretrained(folder)
    # as lerobot-eval, lerobot-record and the policy server load them
    overrides = {"device_processor": {"device": "cpu"}, "rename_observations_processor": {"rename_map": {}}}
    before, after = make_pre_post_processors(policy.config, pretrained_path=folder, preprocessor_overrides=overrides)
    torch.manual_seed(5)
    torch.save([after(policy.select_action(before(frame))) for frame in torch.load(given)], made)
"""


def write(path: Path, features: dict[str, Feature], seed: int) -> None:
    rng = np.random.default_rng(seed)
    with DatasetWriter(path, fps=10, features=features, robot_type=path.name) as writer:
        for _ in range(2):
            columns = {
                key: rng.integers(0, 256, (12, *f.shape), dtype=np.uint8)
                if f.is_camera
                else rng.normal(seed, 1 + seed, (12, *f.shape)).astype(np.float32)
                for key, f in features.items()
            }
            writer.add_episode(columns, "move")


def write_robots(folder: Path) -> Path:
    """The datasets `duo` and `solo`, and what the policies need beside them."""

    def vector(width: int) -> Feature:
        return Feature("numeric", "float32", (width,))

    duo = {STATE: vector(4), ENV: vector(3), "action": vector(5), MAIN: PICTURE, WRIST: PICTURE}
    write(folder / "duo", duo, 0)
    write(folder / "solo", {STATE: vector(2), "action": vector(3), OWN: PICTURE}, 3)
    write_tiny_clip(folder / CLIP)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_robots(tmp_path_factory.mktemp("robots"))


def train(data: Path, kind: str) -> Path:
    sources = [
        {"root": str(data / "duo"), "name": "duo"},
        {"root": str(data / "solo"), "name": "solo", "feature_map": {OWN: MAIN}},
    ]
    policy = {name: str(data / CLIP) if value == CLIP else value for name, value in POLICIES[kind].items()}
    mix = {
        "dataset": {"normalize_by": "source", "use_imagenet_stats": False, "datasets": sources},
        "policy": policy | {"device": "cpu"},
        "batch_size": 4,
        "steps": 2,
        "num_workers": 0,
    }
    (data / f"{kind}.json").write_text(json.dumps(mix))
    out = data / kind
    if not out.exists():
        assert main(["train", f"--config_path={data / f'{kind}.json'}", f"--output_dir={out}"]) == 0
    return out / "checkpoints" / "last"


def frames_of(source: Source) -> list[dict[str, Any]]:
    """What the robot observes in its first five frames: its own names, cameras as bytes."""
    dataset = source.dataset
    keys = [key for key in dataset.features if key.startswith("observation.")]
    rows = np.arange(5)
    columns = {
        k: dataset.read_frames(k, rows) if dataset.features[k].is_camera else dataset.column(k)[rows] for k in keys
    }
    return [{key: torch.from_numpy(np.array(column[i : i + 1])) for key, column in columns.items()} for i in rows]


def driven(source: Source, policy: Any, processors: Any, names: Any) -> list[torch.Tensor]:
    """The actions of an evaluation of robomix."""
    live = LiveSource(source, observations_of(policy, names), n_action_steps=2)
    driver = SourceDriver(live, policy, processors, {}, names)
    driver.reset()
    policy.eval()
    torch.manual_seed(5)
    return [torch.from_numpy(driver({**frame, "task": ["move"]})) for frame in frames_of(source)]


def source_of(data: Path, name: str) -> Source:
    entry = SourceConfig(root=data / name, name=name, feature_map={OWN: MAIN} if name == "solo" else {})
    return Source(open_dataset(data / name), entry, name=name, normalize_by="global")


@pytest.fixture(scope="module")
def plain(data: Path) -> Path:
    """Actions KIND_ROBOT.pt of all policy folders, made in one process that cannot import robomix."""
    given: list[str] = []
    for name in ("duo", "solo"):
        frames = [
            {key: value / 255 if value.dtype == torch.uint8 else value for key, value in frame.items()}
            for frame in frames_of(source_of(data, name))
        ]
        torch.save([frame | {"task": ["move"]} for frame in frames], data / f"{name}.pt")
        for kind in POLICIES:
            folder = train(data, kind) / "pretrained_model" / name
            given += [str(folder), str(data / f"{name}.pt"), str(data / f"{kind}_{name}.pt")]
    command = [sys.executable, "-c", WITHOUT_ROBOMIX, *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return data


@pytest.mark.parametrize("name", ["duo", "solo"])
@pytest.mark.parametrize("kind", POLICIES)
def test_plain_lerobot_acts_as_robomix_does(plain: Path, kind: str, name: str) -> None:
    """From the robot's own observations; as robomix evaluates the folder, and the shared policy, cut anew."""
    checkpoint, source = train(plain, kind), source_of(plain, name)
    folder = checkpoint / "pretrained_model" / name
    made = torch.load(plain / f"{kind}_{name}.pt")
    assert made[0].shape == (1, {"duo": 5, "solo": 3}[name])

    policy = load_policy(folder, "cpu")
    processors = load_processors(policy, folder)
    torch.testing.assert_close(made, driven(source, policy, processors, mixture_names(folder)))

    shared = load_policy(checkpoint / "training_state" / "policy", "cpu")
    robot = robots_of([source], {name: name}, [*shared.config.input_features, "action"])[name]
    torch.testing.assert_close(made, driven(source, policy_of_robot(shared, robot), processors, robot.names))


def test_a_folder_has_the_robots_own_names_and_widths(data: Path) -> None:
    pretrained = train(data, "act") / "pretrained_model"
    of = {name: json.loads((pretrained / name / "config.json").read_text()) for name in ("duo", "solo")}
    assert {k: v["shape"] for k, v in of["solo"]["input_features"].items()} == {STATE: [2], OWN: [3, 32, 32]}
    assert of["solo"]["output_features"]["action"]["shape"] == [3]
    assert list(of["duo"]["input_features"]) == [STATE, ENV, MAIN, WRIST]
    assert read_robot(pretrained / "solo") == {
        "group": "solo",
        "sources": ["solo"],
        "names": {OWN: MAIN},
        "zeros": [],
        "notes": [],
    }


def test_a_missing_observation_is_named_where_the_policy_is_the_robots_own(data: Path) -> None:
    runner = PolicyRunner(train(data, "act") / "pretrained_model" / "solo")
    with pytest.raises(Exception, match=r"takes 'observation.images.cam_left', and the observation has"):
        runner({STATE: np.zeros(2, np.float32), MAIN: np.zeros((3, 32, 32), np.uint8)})


def test_export_of_a_group_is_its_folder(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint, out = train(data, "act"), tmp_path / "policy"
    assert main(["export", str(checkpoint), "--group", "solo", "--out", str(out)]) == 0
    own = checkpoint / "pretrained_model" / "solo"
    assert {f.name: f.read_bytes() for f in out.iterdir()} == {f.name: f.read_bytes() for f in own.iterdir()}
    assert main(["export", str(checkpoint), "--group", "solo", "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["export", str(checkpoint), "--group", "sola", "--out", str(tmp_path / "other")]) == 2
    assert "has no group 'sola'. Did you mean 'solo'?" in capsys.readouterr().err


def test_export_for_a_robot_that_was_not_trained_normalizes_by_its_own_data(data: Path, tmp_path: Path) -> None:
    """A third robot, exported, acts as the shared policy cut to it with statistics of its data."""
    checkpoint = train(data, "act")
    vectors = {STATE: Feature("numeric", "float32", (3,)), "action": Feature("numeric", "float32", (4,))}
    write(tmp_path / "new", vectors | {"observation.images.eye": PICTURE}, 9)
    entry = {"root": str(tmp_path / "new"), "name": "new", "feature_map": {"observation.images.eye": WRIST}}
    (tmp_path / "new.json").write_text(json.dumps({"dataset": {"use_imagenet_stats": False, "datasets": [entry]}}))
    out = tmp_path / "policy"
    flags = [f"--config={tmp_path / 'new.json'}", "--source=new", f"--out={out}"]
    assert main(["export", str(checkpoint), *flags]) == 0
    config = json.loads((out / "config.json").read_text())
    assert {k: v["shape"] for k, v in config["input_features"].items()} == {
        STATE: [3],
        "observation.images.eye": [3, 32, 32],
    }
    source = Source(
        open_dataset(tmp_path / "new"),
        SourceConfig(root=tmp_path / "new", feature_map=entry["feature_map"]),
        name="new",
        normalize_by="global",
    )
    shared = load_policy(checkpoint / "training_state" / "policy", "cpu")
    robot = robots_of([source], {"new": "new"}, [STATE, WRIST, "action"])["new"]
    column = {key: source.dataset.column(key) for key in vectors}
    moments = {k: {"mean": v.mean(0), "std": v.std(0), "min": v.min(0), "max": v.max(0)} for k, v in column.items()}
    policy = load_policy(out, "cpu")
    _, after = load_processors(policy, out)
    np.testing.assert_allclose(after(torch.zeros(1, 4)).numpy()[0], moments["action"]["mean"], rtol=1e-5)
    whole = policy_of_robot(shared, robot).state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in policy.state_dict().items())


def test_export_normalizes_by_statistics_that_the_mixture_file_gives(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of the robot's own group, in a file whose other sources are for others; it may be drawn later, or never."""
    vectors = {STATE: Feature("numeric", "float32", (3,)), "action": Feature("numeric", "float32", (4,))}
    write(tmp_path / "new", vectors | {MAIN: PICTURE}, 9)
    sources = [{"root": str(data / "duo"), "name": "duo"}, {"root": str(tmp_path / "new"), "name": "new", "weight": 0}]
    block = {"normalize_by": "embodiment", "features": "union", "use_imagenet_stats": False, "datasets": sources}
    moving = {"weight_schedule": [{"step": 5, "weights": {"new": 1, "duo": 0}}]}
    for name, more in {"plain": {}, "given": moving | {"stats": str(tmp_path / "stats")}}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"dataset": block | more}))
    assert main(["stats", str(tmp_path / "plain.json"), f"--out={tmp_path / 'stats'}"]) == 0
    file = tmp_path / "stats/new/meta/stats.json"
    given = json.loads(file.read_text())
    given["action"]["mean"] = [1.0, 2.0, 3.0, 4.0]
    file.write_text(json.dumps(given))
    arguments = ["export", str(train(data, "act")), f"--config={tmp_path / 'given.json'}", "--source=new"]
    assert main([*arguments, f"--out={tmp_path / 'policy'}"]) == 0
    policy = load_policy(tmp_path / "policy", "cpu")
    _, after = load_processors(policy, tmp_path / "policy")
    assert after(torch.zeros(1, 4)).tolist() == [[1.0, 2.0, 3.0, 4.0]]

    shutil.rmtree(tmp_path / "stats/new")
    assert main([*arguments, f"--out={tmp_path / 'other'}"]) == 2
    assert "has no statistics for the normalization group 'new'" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_export_refuses_a_robot_that_is_wider_than_the_policy(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = {STATE: Feature("numeric", "float32", (3,)), "action": Feature("numeric", "float32", (9,))}
    write(tmp_path / "wide", wide | {MAIN: PICTURE}, 9)
    (tmp_path / "wide.json").write_text(json.dumps({"dataset": {"datasets": [{"root": str(tmp_path / "wide")}]}}))
    flags = [f"--config={tmp_path / 'wide.json'}", "--source=wide", f"--out={tmp_path / 'policy'}"]
    assert main(["export", str(train(data, "act")), *flags]) == 2
    assert "'action' of shape (9,), the policy was trained with (5,)" in capsys.readouterr().err
    assert not (tmp_path / "policy").exists()
    assert main(["export", str(data / "act"), "--out", str(tmp_path / "policy")]) == 2
    assert "give either --group, or both --config and --source" in capsys.readouterr().err


def test_a_resumed_run_with_cameras_that_some_robots_lack_is_the_uninterrupted_one(data: Path, tmp_path: Path) -> None:
    from tests.training.test_loop import assert_same_parameters

    train(data, "act")
    config, straight, out = data / "act.json", tmp_path / "straight", tmp_path / "out"
    assert main(["train", f"--config_path={config}", f"--output_dir={straight}", "--steps=4"]) == 0
    assert main(["train", f"--config_path={config}", f"--output_dir={out}", "--steps=2"]) == 0
    assert main(["train", "--resume=true", f"--output_dir={out}", "--steps=4"]) == 0
    assert_same_parameters(straight / "checkpoints" / "last", out / "checkpoints" / "last")
