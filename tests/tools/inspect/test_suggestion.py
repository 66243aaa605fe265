"""The suggested mixture: what it says and why, and that a training takes it as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from robomix.cli.main import main
from robomix.config import MixtureConfig
from robomix.documents import read_document
from robomix.mixture.factory import make_mixture
from robomix.tools.inspect.copies import OwnEpisodes
from robomix.tools.inspect.description import DatasetDescription
from robomix.tools.inspect.inspection import inspect_datasets
from robomix.tools.inspect.mixture_text import flow, mixture_text
from robomix.tools.inspect.suggestion import suggest
from tests.fixtures import write_v20, write_v21, write_v30
from tests.hdf5_files import write_aloha, write_robomimic
from tests.rlds_files import write_rlds
from tests.tools.inspect.described import camera, dataset, vector
from tests.zarr_files import write_zarr

TOP, STATE = "observation.images.top", "observation.state"
ARM = (vector("action", 7), vector(STATE, 6), camera(TOP))
SMALL_ACT = [
    "--policy.type=act", "--policy.device=cpu", "--policy.pretrained_backbone_weights=null", "--policy.dim_model=16",
    "--policy.n_heads=2", "--policy.dim_feedforward=16", "--policy.n_encoder_layers=1", "--policy.n_decoder_layers=1",
    "--policy.latent_dim=4", "--policy.n_vae_encoder_layers=1", "--policy.chunk_size=4", "--policy.n_action_steps=4",
    "--batch_size=2", "--num_workers=0", "--save_checkpoint=false", "--steps=2", "--log_freq=1",
]  # fmt: skip


def suggested(*datasets: DatasetDescription, **own: OwnEpisodes) -> tuple[str, dict[str, Any]]:
    """The file's text, and the `dataset` block in it. All episodes are new but those in `own`."""
    all_own = {one.name: OwnEpisodes(tuple(range(one.episodes)), {}, 0) for one in datasets} | own
    text = mixture_text(suggest(datasets, all_own, {}), ())
    return text, yaml.safe_load(text)["dataset"]


def test_datasets_that_fit_need_nothing() -> None:
    text, block = suggested(dataset("a", *ARM), dataset("b", *ARM))
    assert {key: block[key] for key in ("features", "alpha", "normalize_by")} == {
        "features": "union",
        "alpha": 1.0,
        "normalize_by": "global",
    }
    assert block["datasets"] == [{"name": n, "root": f"data/{n}", "weight": 1.0} for n in "ab"]
    assert "CHECK:" not in text


def test_cameras_are_matched_and_brought_to_one_size() -> None:
    other = (vector("action", 7), vector(STATE, 6), camera("observation.images.cam_high", (480, 640)))
    text, block = suggested(dataset("a", *ARM), dataset("b", *other))
    one, two = block["datasets"]
    assert two["feature_map"] == {"observation.images.cam_high": TOP}
    resize = {"type": "resize_images", "kwargs": {"height": 224, "width": 224}}
    assert (one["transforms"], two["transforms"]) == ([resize], [resize])
    assert f"CHECK: taken to be one camera, by their names: {TOP} of a" in text


@pytest.mark.parametrize(
    ("sizes", "common"),
    [
        ([(480, 640), (256, 256)], (256, 256)),
        ([(480, 640), (64, 64)], (224, 224)),
        ([(96, 96), (64, 64)], (96, 96)),
        ([(480, 640), (480, 640)], None),
    ],
)
def test_the_size_of_all_cameras(sizes: list[tuple[int, int]], common: tuple[int, int] | None) -> None:
    """The smallest, but no smaller than what backbones were made for where one camera has that much."""
    datasets = [dataset(f"d{i}", vector("action", 7), camera(TOP, size)) for i, size in enumerate(sizes)]
    steps = [step for entry in suggested(*datasets)[1]["datasets"] for step in entry.get("transforms", ())]
    assert {(s["kwargs"]["height"], s["kwargs"]["width"]) for s in steps} == ({common} if common else set())


def test_other_robots_are_normalized_apart() -> None:
    _, block = suggested(dataset("a", *ARM), dataset("b", *ARM, robot_type="hand"))
    assert block["normalize_by"] == "embodiment"
    _, block = suggested(dataset("a", *ARM, robot_type=None), dataset("b", *ARM, robot_type=None))
    assert block["normalize_by"] == "source"
    _, block = suggested(dataset("a", *ARM), *(dataset(name, *ARM, robot_type="unknown") for name in "bc"))
    assert block["normalize_by"] == "source"
    _, block = suggested(dataset("a", *ARM), dataset("b", *ARM, robot_type=None))
    assert block["normalize_by"] == "embodiment"
    _, block = suggested(dataset("a", *ARM), dataset("b", vector("action", 8), *ARM[1:]))
    assert block["normalize_by"] == "source"


def test_rates_and_widths_are_told() -> None:
    text, block = suggested(dataset("a", *ARM), dataset("b", vector("action", 14), *ARM[1:], fps=50.0))
    assert block["rate"] == "native"
    said = " ".join(line.strip("# ") for line in text.splitlines())
    assert "10 in a, 50 in b. A chunk of 20 actions lasts 0.4 to 2 s" in said
    assert "rate: 10, the lowest" in said
    assert "action is 7 in a, 14 in b: padded to 14" in said


def test_what_policies_do_not_take_is_left_out_by_name() -> None:
    text, block = suggested(dataset("a", *ARM, vector("observation.effort", 7), vector("language_embedding", 512)))
    (entry,) = block["datasets"]
    assert entry["transforms"] == [{"type": "keep", "kwargs": {"keys": [STATE, "action", TOP]}}]
    assert "what is not kept: language_embedding, observation.effort" in text


def test_copies_are_left_out() -> None:
    one, two, three = (dataset(name, *ARM) for name in "abc")
    text, block = suggested(one, two, three, b=OwnEpisodes((1,), {"a": 1}, 0), c=OwnEpisodes((), {"a": 2}, 0))
    assert [(entry["name"], entry.get("episodes")) for entry in block["datasets"]] == [("a", None), ("b", [1])]
    assert "# 1 episodes are copies of episodes of a" in text
    assert "# left out: 2 episodes are copies of episodes of a\n    # - name: c\n" in text


def test_a_selection_stands_for_its_episodes() -> None:
    one = dataset("a", *ARM, subsets={"train": (0,), "val": (1,)})
    _, block = suggested(one, a=OwnEpisodes((0,), {"a": 1}, 0))
    (entry,) = block["datasets"]
    assert entry["filter_key"] == "train"
    assert "episodes" not in entry


def test_a_dataset_without_an_action_is_a_comment() -> None:
    text, block = suggested(dataset("a", *ARM), dataset("b", vector("torque", 7)))
    assert [entry["name"] for entry in block["datasets"]] == ["a"]
    assert "left out: no feature is the action, as far as names tell: torque" in text


def test_an_unknown_rate_is_a_guess_that_says_so() -> None:
    text, block = suggested(dataset("a", *ARM, fps=None))
    assert block["datasets"][0]["fps"] == 10.0
    assert "CHECK: its files do not say" in text


def test_the_episodes_of_another_format_are_copies(tmp_path: Path) -> None:
    """By content: in single and in double precision, with another state."""
    write_v21(tmp_path / "a", lengths=(5, 7, 3))
    write_v30(tmp_path / "b", lengths=(5, 7, 3), fps=20)
    write_v30(tmp_path / "c", lengths=(5, 7, 3), seed=3)
    text = inspect_datasets([tmp_path / name for name in "abc"]).suggestion
    assert text is not None
    assert [entry["name"] for entry in yaml.safe_load(text)["dataset"]["datasets"]] == ["a", "c"]


@pytest.mark.parametrize(
    "text",
    ["plain", "a b", "~", "null", "yes", "1e5", "1.0", ".5", "- x", "a: b", "#", "ä", "tab\t, 'quote' \"", "\x85\x1b"],
)
def test_names_of_any_kind_survive_the_file(text: str, tmp_path: Path) -> None:
    file = tmp_path / "mix.yaml"
    file.write_text(f"dataset: {flow({text: [text, {'x': text}]})}\n")
    assert read_document(file) == {"dataset": {text: [text, {"x": text}]}}


def test_no_name_leaves_its_comment() -> None:
    """Datasets are not trusted: a line feed in a name must not become a key of the file."""
    text, block = suggested(dataset("a", *ARM, vector("x\n  rate: 3", 2), robot_type="r\n  evil\x1b: 1"))
    assert set(block) == {"features", "alpha", "normalize_by", "datasets"}
    assert all(re.match(r"dataset:|  | *#", line) for line in text.splitlines() if line)


def write_all(folder: Path) -> None:
    """A dataset of every format that is read, robots, rates, widths and cameras of all kinds."""
    write_v20(folder / "v20", cameras={"observation.images.cam_high": (32, 48)})
    write_v21(folder / "v21", seed=1, state_key="state", action_key="actions", cameras={"image": (16, 16)})
    write_v30(folder / "v30", seed=2, fps=30, robot_type="other", extra={"observation.pose": (2, 3)})
    write_zarr(folder / "push.zarr")
    write_rlds(folder / "rlds" / "1.0.0")
    write_aloha(folder / "aloha")
    write_robomimic(folder / "robomimic" / "demo.hdf5", cameras=("robot0_eye_in_hand",))


def test_a_training_takes_the_suggestion_for_every_format(tmp_path: Path) -> None:
    write_all(tmp_path / "data")
    mix = tmp_path / "mix.yaml"
    assert main(["inspect", str(tmp_path / "data"), f"--out={mix}"]) == 0
    config = MixtureConfig.from_dict(read_document(mix)["dataset"], origin=str(mix))
    assert len(config.datasets) == 7
    mixture = make_mixture(config)
    assert mixture.schema.features["action"].shape == (14,)
    assert "observation.images.cam_high" in mixture.camera_keys or TOP in mixture.camera_keys
    train = ["train", f"--config_path={mix}", *SMALL_ACT]
    assert main([*train, "--dry_run", f"--output_dir={tmp_path / 'dry'}"]) == 0
    assert main([*train, f"--output_dir={tmp_path / 'run'}"]) == 0


REAL = {
    "arms and a humanoid": ["cr5_v21", "g1_v30", "gr1_v20"],
    "pieces, a replay buffer and records": ["franka_v21", "pusht_zarr", "bridge_rlds"],
    "copies": ["g1_v21", "g1_v30", "cr5_v21"],
}


@pytest.mark.parametrize("names", REAL.values(), ids=REAL)
def test_a_training_takes_the_suggestion_for_real_recordings(
    names: list[str], real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mix = tmp_path / "mix.yaml"
    fps = ["--fps", "pusht_cchi_v7_replay.zarr=10", "bridge_dataset=5"] if "pusht_zarr" in names else []
    assert main(["inspect", *(str(real_data / name) for name in names), f"--out={mix}", *fps]) == 0
    assert "suggested mixture in" in capsys.readouterr().out
    train = ["train", f"--config_path={mix}", *SMALL_ACT, "--dataset.use_imagenet_stats=true"]
    assert main([*train, f"--output_dir={tmp_path / 'run'}"]) == 0


def test_the_records_of_bridge_are_used_once(real_data: Path) -> None:
    """They are in the dataset twice, as train and as val."""
    text = inspect_datasets([real_data / "bridge_rlds"], {"bridge_dataset": 5}).suggestion
    assert text is not None
    (entry,) = yaml.safe_load(text)["dataset"]["datasets"]
    assert (entry["filter_key"], entry["fps"]) == ("train", 5.0)
    assert "25 episodes are copies of episodes of bridge_dataset" in text
