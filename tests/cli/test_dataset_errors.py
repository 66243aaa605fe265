"""What only shows when the datasets are opened ends in a message too: exit code 2, the source, the key and the fix."""

from pathlib import Path

import pytest

from robomix.cli.main import main
from tests.damage import drop_parquet_footer, edit_info, replace_by_lfs_pointer, truncate
from tests.fixtures import write_v20, write_v21, write_v30
from tests.hdf5_files import write_aloha, write_robomimic

POLICY = ("--policy.type=act", "--policy.device=cpu", "--policy.pretrained_backbone_weights=null", "--num_workers=0")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets that are good each; `wide` has another picture size, `odd` other names."""
    folder = tmp_path_factory.mktemp("data")
    write_v30(folder / "good", storage="image")
    write_v21(folder / "wide", cameras={"observation.images.top": (64, 96)})
    write_robomimic(folder / "lift.hdf5", masks={"expert": [2]})
    write_aloha(folder / "pour")
    write_v20(folder / "odd", state_key="qpos", action_key="commands", cameras={"cam": (32, 48)})
    return folder


def ended(entries: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """What `robomix train` says of a mixture file with these sources on its way to exit code 2."""
    file = tmp_path / "mix.yaml"
    file.write_text(f"dataset:\n  datasets:\n{entries.replace('DATA', str(data))}\n")
    code = main(["train", f"--config_path={file}", f"--output_dir={tmp_path / 'out'}", *POLICY, *flags])
    text = capsys.readouterr().err
    assert code == 2, text
    assert "Traceback" not in text
    assert "robomix train: error:" in text
    assert not (tmp_path / "out").exists()
    return text


GOOD = "    - {root: DATA/good}\n"
MISTAKES: list[tuple[str, str, tuple[str, ...]]] = [
    ("a folder that is not there", "    - {root: DATA/god}", ("the folder", "does not exist")),
    ("a hub id that is not there", "    - {repo_id: me/arm}", ("source 'me/arm'", "`hf download --repo-type dataset")),
    ("a misspelt key", GOOD.replace("}", ", feature_map: {actoin: action}}"), ("'actoin'", "Did you mean 'action'?")),
    ("two keys to one name", GOOD.replace("}", ", feature_map: {observation.state: action}}"), ("would be called",)),
    ("a bookkeeping column", GOOD.replace("}", ", feature_map: {timestamp: t}}"), ("timestamp", "cannot be renamed")),
    ("episodes that are not there", GOOD.replace("}", ", episodes: [0, 9]}"), ("episodes [9] do not exist",)),
    (
        "an unknown transform",
        GOOD.replace("}", ", transforms: [{type: pad_actoin}]}"),
        ("source 'good', transforms[0]", "Did you mean 'pad_action'?"),
    ),
    (
        "a transform without its arguments",
        GOOD.replace("}", ", transforms: [{type: pad_action}]}"),
        ("missing a required argument: 'target_dim'",),
    ),
    (
        "padding to less",
        GOOD.replace("}", ", transforms: [{type: pad_action, kwargs: {target_dim: 1}}]}"),
        ("'action' of shape (2,) cannot be padded to 1 entries",),
    ),
    (
        "a module that is not there",
        GOOD.replace("}", ", transforms: [{type: 'no_such_module:step'}]}"),
        ("importing 'no_such_module' failed",),
    ),
    ("a rate that is not said", "    - {root: DATA/pour}", ("pour does not say how many frames", "`fps: 20`")),
    ("a rate that is not so", "    - {root: DATA/lift.hdf5, fps: 10}", ("20 frames per second, but 10 are given",)),
    (
        "an unknown filter key",
        "    - {root: DATA/lift.hdf5, filter_key: experts}",
        ("source 'lift.hdf5'", "has no selection 'experts'", "Did you mean 'expert'?"),
    ),
    ("no action", "    - {root: DATA/odd}", ("no 'action' to learn", "commands", "feature_map")),
    (
        "cameras of two sizes",
        GOOD + "    - {root: DATA/wide}",
        ("'observation.images.top' does not fit together", "resize_images", "height: 32, width: 48"),
    ),
    (
        "a camera called like a vector",
        GOOD + "    - {root: DATA/odd, feature_map: {cam: observation.state}}",
        ("'observation.state' does not fit together", "different things"),
    ),
]


@pytest.mark.parametrize(("entries", "named"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_mistakes_in_the_mixture(
    entries: str, named: tuple[str, ...], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = ended(entries, data, tmp_path, capsys)
    for part in named:
        assert part in text


def test_what_is_wrong_with_several_sources_is_told_at_once(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = "    - {root: DATA/nowhere}\n" + GOOD + "    - {root: DATA/odd, episodes: [77]}\n"
    text = ended(entries, data, tmp_path, capsys)
    for part in ("2 of 3 datasets cannot be used", "nowhere", "source 'odd': episodes [77] do not exist"):
        assert part in text


def test_nothing_in_common(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = GOOD + "    - {root: DATA/odd}\n  features: intersection"
    text = ended(entries, data, tmp_path, capsys)
    assert "no feature in common" in text
    assert "good: observation.state, action, observation.images.top" in text
    assert "odd: qpos, commands, cam" in text


def test_a_policy_that_needs_a_picture(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = GOOD.replace("}", ", feature_map: {observation.images.top: null}}")
    text = ended(entry, data, tmp_path, capsys)
    assert "policy 'act' cannot be built for this mixture" in text
    assert "at least one image" in text


DAMAGES = {
    "a footerless table": ("good", lambda d: drop_parquet_footer(next(d.glob("data/*/*.parquet"))), "parquet"),
    "a truncated video": ("wide", lambda d: truncate(next(d.glob("videos/*/*/*.mp4"))), ".mp4"),
    "a missing video": ("wide", lambda d: next(d.glob("videos/*/*/*.mp4")).unlink(), ".mp4"),
    "a missing table": ("wide", lambda d: next(d.glob("data/*/*.parquet")).unlink(), ".parquet"),
    "a pointer of Git LFS": ("wide", lambda d: replace_by_lfs_pointer(d / "meta/episodes.jsonl"), "git lfs pull"),
    "an unknown version": ("good", lambda d: edit_info(d, codebase_version="v9.0"), "v9.0"),
    "an old version": ("good", lambda d: edit_info(d, codebase_version="v1.6"), "v1.6"),
    "no features": ("good", lambda d: edit_info(d, features={}), "features"),
    "no rate": ("good", lambda d: edit_info(d, fps=0), "fps"),
    "paths that lead outside": ("wide", lambda d: edit_info(d, video_path="../../{video_key}.mp4"), "video_path"),
    "json that is none": ("good", lambda d: (d / "meta/info.json").write_text("{"), "info.json"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_datasets(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kind, damage, named = DAMAGES[name]
    folder = tmp_path / "data" / "set"
    folder.parent.mkdir()
    write_v30(folder) if kind == "good" else write_v21(folder)
    damage(folder)
    text = ended("    - {root: DATA/set}", tmp_path / "data", tmp_path, capsys, "--steps=3", "--batch_size=20")
    assert named in text


@pytest.mark.parametrize("name", ["broken_lfs_pointers_v21", "broken_panda_v30_nodata", "broken_trace_lookalike"])
def test_broken_sets_of_the_wild(
    name: str, real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = ended(f"    - {{root: DATA/{name}}}", real_data, tmp_path, capsys)
    assert name in text
