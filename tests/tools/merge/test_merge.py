"""What `robomix merge` merges, and what it refuses."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from robomix.cli.main import main
from robomix.formats import Dataset, open_dataset
from robomix.tools.build.source import read_content
from robomix.tools.check.run import check
from tests.fixtures import write_v20, write_v21, write_v30
from tests.formats.writing import lerobot_dataset

TOP, WRIST = "observation.images.top", "observation.images.wrist"
LEROBOT = {"gop": 1, "lengths": (4, 3)}


def merge(*argv: object, code: int = 0) -> None:
    assert main(["merge", *map(str, argv)]) == code


def refusals(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    merge(*argv, "--json", "--dry_run", code=2)
    return "\n".join(json.loads(capsys.readouterr().out)["plans"][0]["refusals"])


def two(folder: Path, **second: Any) -> tuple[Path, Path]:
    """A v2.1 and a v3.0 dataset that differ in their numbers, and in `second`."""
    write_v21(folder / "a", **LEROBOT)
    write_v30(folder / "b", **LEROBOT | {"seed": 1} | second)
    return folder / "a", folder / "b"


def digests(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.md5(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def assert_holds(merged: Dataset, *sources: Dataset) -> None:
    """The episodes of `sources` in their order, with equal numbers, tasks and frames."""
    for key, feature in sources[0].features.items():
        parts = [(s.read_frames(key, np.arange(s.num_frames)) if feature.is_camera else s.column(key)) for s in sources]
        found = merged.read_frames(key, np.arange(merged.num_frames)) if feature.is_camera else merged.column(key)
        np.testing.assert_array_equal(found, np.concatenate(parts), key)
    texts = [source.tasks[i] for source in sources for i in source.task_indices()]
    assert [merged.tasks[i] for i in merged.task_indices()] == texts


@pytest.mark.parametrize("version", ["v3.0", "v2.1", "v2.0"])
def test_two_versions_become_one_dataset(version: str, tmp_path: Path) -> None:
    a, b = two(tmp_path)
    before = digests(tmp_path)
    merge("--first", a, "--second", b, "--out", tmp_path / "m", "--version", version)
    assert_holds(open_dataset(tmp_path / "m"), open_dataset(a), open_dataset(b))
    assert open_dataset(tmp_path / "m").format == f"LeRobot {version}"
    assert {path: digest for path, digest in digests(tmp_path).items() if path in before} == before
    assert [f.defect.id for f in check(tmp_path / "m").findings if f.level in ("FAIL", "WARN")] == []


def test_a_merged_dataset_merges_again_also_with_what_it_was_made_of(tmp_path: Path) -> None:
    a, b = two(tmp_path, cameras={TOP: (32, 48), WRIST: (32, 48)}, action_dim=4)
    write_v20(tmp_path / "c", **LEROBOT | {"seed": 2})
    merge(a, b, "--out", tmp_path / "m", "--keep=union", "--codec=h264")
    merge(
        tmp_path / "m", tmp_path / "c", a, "--out", tmp_path / "mm", "--keep=union", "--drop_duplicates", "--codec=h264"
    )
    once, again, c = (open_dataset(tmp_path / name) for name in ("m", "mm", "c"))
    n = once.num_frames
    assert again.num_frames == n + c.num_frames
    for key, feature in once.features.items():
        if not feature.is_camera:
            np.testing.assert_array_equal(again.column(key)[:n], once.column(key), key)
    np.testing.assert_array_equal(again.column("action")[n:, :2], c.column("action"))
    np.testing.assert_array_equal(again.column("action_dim_is_pad")[n:], [[False, False, True, True]] * c.num_frames)
    assert again.column(f"{WRIST}_is_pad")[n:].all()
    rows = np.arange(n)
    np.testing.assert_array_equal(again.read_frames(WRIST, rows), once.read_frames(WRIST, rows))


def test_statistics_are_of_real_values_only(tmp_path: Path) -> None:
    a, b = two(tmp_path, action_dim=4, extra={"effort": (3,)}, cameras={TOP: (32, 48), WRIST: (32, 48)})
    merge(a, b, "--out", tmp_path / "m", "--keep=union", "--codec=h264")
    stats = json.loads((tmp_path / "m/meta/stats.json").read_text())
    actions = [open_dataset(path).column("action").astype(np.float64) for path in (a, b)]
    np.testing.assert_allclose(stats["action"]["mean"][3], actions[1][:, 3].mean())
    np.testing.assert_allclose(stats["action"]["std"][0], np.concatenate([x[:, 0] for x in actions]).std())
    effort = open_dataset(b).column("effort")
    np.testing.assert_allclose(stats["effort"]["min"], effort.min(axis=0))
    assert stats["effort"]["count"] == [len(effort)]
    episodes = pq.read_table(tmp_path / "m/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert episodes[0]["stats/action/mean"][2:] == stats["action"]["mean"][2:]  # which it has not
    assert episodes[0]["stats/effort/max"] == stats["effort"]["max"]
    assert [row["stats/effort/count"] for row in episodes] == [[1], [1], [4], [3]]
    np.testing.assert_allclose(episodes[2]["stats/action/mean"], actions[1][:4].mean(axis=0))
    wrist = open_dataset(b).read_frames(WRIST, np.arange(7)) / 255
    np.testing.assert_allclose(np.ravel(stats[WRIST]["mean"]), wrist.mean(axis=(0, 2, 3)), atol=0.01)


def test_lerobot_reads_the_union_and_deletes_from_it(tmp_path: Path) -> None:
    from lerobot.datasets.dataset_tools import delete_episodes, split_dataset

    a, b = two(tmp_path, action_dim=4, cameras={TOP: (32, 48), WRIST: (32, 48)})
    merge(a, b, "--out", tmp_path / "m", "--keep=union", "--codec=h264")
    theirs, ours = lerobot_dataset(tmp_path / "m"), open_dataset(tmp_path / "m")
    assert len(theirs) == ours.num_frames
    for i in (0, 6, 7, 13):
        np.testing.assert_array_equal(theirs[i]["action"].numpy(), ours.column("action")[i])
        np.testing.assert_array_equal(theirs[i][TOP].numpy(), ours.read_frames(TOP, np.array([i]))[0])
    left = delete_episodes(theirs, [1, 2], output_dir=tmp_path / "left", repo_id="left")
    assert len(left) == 4 + 3
    parts = split_dataset(theirs, {"first": [0, 1], "rest": [2, 3]}, output_dir=tmp_path / "parts")
    assert np.isfinite(parts["first"].meta.stats["action"]["mean"]).all()


def test_features_get_one_name_by_a_map(tmp_path: Path) -> None:
    a, b = two(tmp_path, cameras={WRIST: (32, 48)})
    (tmp_path / "map.yaml").write_text(yaml.safe_dump({"b": {WRIST: TOP}}))
    merge(a, b, "--map", tmp_path / "map.yaml", "--out", tmp_path / "m")
    frames = open_dataset(tmp_path / "m").read_frames(TOP, np.arange(7, 14))
    np.testing.assert_array_equal(frames, open_dataset(b).read_frames(WRIST, np.arange(7)))


def test_everything_that_does_not_fit_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = two(tmp_path, fps=20, robot_type="other", cameras={TOP: (64, 48)}, extra={"effort": (3,)})
    told = refusals(capsys, a, b, "--out", tmp_path / "m")
    for text in ("--fps", "--robot_type", "--keep=union", "effort (not in a)", "resize_images"):
        assert text in told
    assert not (tmp_path / "m").exists()


def test_copies_are_refused_or_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = two(tmp_path, seed=0, lengths=(4, 3, 6))
    assert "episode 1 of b is episode 1 of a" in refusals(capsys, a, b, "--out", tmp_path / "m")
    merge(a, b, "--out", tmp_path / "m", "--drop_duplicates")
    assert open_dataset(tmp_path / "m").episodes.lengths.tolist() == [4, 3, 6]


def test_tasks_are_merged_mapped_and_normalized(tmp_path: Path) -> None:
    _, b = two(tmp_path, tasks=["Pick up.", "place"])
    write_v21(tmp_path / "c", **LEROBOT | {"seed": 3}, tasks=["pick  up", "stack"])
    (tmp_path / "tasks.yaml").write_text("stack: pile\n")
    flags = ("--normalize_tasks", "--task_map", tmp_path / "tasks.yaml", "--provenance")
    merge(b, tmp_path / "c", "--out", tmp_path / "m", *flags)
    merged = open_dataset(tmp_path / "m")
    assert [merged.tasks[i] for i in merged.task_indices()[merged.episodes.starts[:-1]]] == [
        "Pick up.", "place", "Pick up.", "pile",
    ]  # fmt: skip
    assert merged.tasks == ("Pick up.", "place", "pile")
    episodes = pq.read_table(tmp_path / "m/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(row["source"], row["source_episode_index"]) for row in episodes] == [
        ("b", 0),
        ("b", 1),
        ("c", 0),
        ("c", 1),
    ]


@pytest.mark.parametrize("storage", ["image", "video"])
def test_cameras_are_kept_in_one_way(storage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = two(tmp_path, storage="image")
    assert "--storage=video or --storage=image" in refusals(capsys, a, b, "--out", tmp_path / "m")
    merge(a, b, "--out", tmp_path / "m", "--storage", storage, "--codec=h264")
    merged = open_dataset(tmp_path / "m")
    assert merged.features[TOP].storage == storage
    expected = open_dataset(b if storage == "image" else a).read_frames(TOP, np.arange(7))
    found = merged.read_frames(TOP, np.arange(7, 14) if storage == "image" else np.arange(7))
    np.testing.assert_array_equal(found, expected)


def test_rates_are_brought_to_one(tmp_path: Path) -> None:
    a, b = two(tmp_path, fps=20, lengths=(8, 6))
    merge(a, b, "--fps=10", "--out", tmp_path / "m", "--codec=h264")
    merged = open_dataset(tmp_path / "m")
    assert merged.fps == 10
    np.testing.assert_array_equal(merged.column("action")[:7], open_dataset(a).column("action"))
    assert merged.episodes.lengths.tolist() == [4, 3, 4, 3]


def test_transformed_cameras_are_encoded_and_others_copied(tmp_path: Path) -> None:
    a, b = two(tmp_path, cameras={TOP: (64, 96)})
    steps = [{"type": "resize_images", "kwargs": {"height": 32, "width": 48}}]
    block = {"datasets": [{"root": str(a)}, {"root": str(b), "transforms": steps}]}
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump({"dataset": block}))
    merge("--config", tmp_path / "mix.yaml", "--out", tmp_path / "m", "--codec=h264", "--workers=2")
    merged = open_dataset(tmp_path / "m")
    np.testing.assert_array_equal(merged.read_frames(TOP, np.arange(7)), open_dataset(a).read_frames(TOP, np.arange(7)))
    assert merged.features[TOP].shape == (3, 32, 48)


def test_numbers_of_tasks_follow_the_tasks(real_data: Path, tmp_path: Path) -> None:
    write_v21(tmp_path / "a", lengths=(3,), gop=1, fps=20, tasks=["another task"], cameras={})
    gr1 = real_data / "gr1_v20"
    merge(tmp_path / "a", gr1, "--out", tmp_path / "m", "--keep=union", "--robot_type=x", "--codec=h264")
    merged, content = open_dataset(tmp_path / "m"), read_content(tmp_path / "m")
    source = open_dataset(gr1)
    texts = [source.tasks[i] for i in source.annotation("human.action.task_description")]
    column = "annotation.human.action.task_description"
    assert column not in content.features or [merged.tasks[i] for i in merged.column(column)[3:]] == texts
    assert [merged.tasks[i] for i in merged.task_indices()[3:]] == [source.tasks[i] for i in source.task_indices()]
