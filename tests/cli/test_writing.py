"""The verbs that write datasets, as they are called: plans, refusals, what appears and what does not."""

import json
from pathlib import Path

import numpy as np
import pytest

from robomix.cli.main import main
from robomix.errors import FormatError
from robomix.formats.lerobot.dataset import LeRobotDataset
from robomix.tools.build.plan import make_plan
from robomix.tools.build.source import read_content
from robomix.tools.edit.parts import write_parts
from robomix.tools.edit.split import by_lists
from tests.fixtures import write_v20, write_v21, write_v30
from tests.tools.edited import TOP, digests, episode_rows


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_v30(tmp_path / "source", lengths=(4, 6, 2, 8), cameras={})
    return tmp_path / "source"


VERBS = {
    "delete": ["--episodes=0,2:4"],
    "keep": ["--episodes=1,0"],
    "trim": ["--head=1"],
    "rename": ["--features", "action=act"],
    "drop": ["--features", "action"],
    "tasks": ["--set=a text"],
    "shuffle": ["--seed=3"],
    "convert": ["--to=v2.1"],
    "recompute": [],
    "split": ["--fractions", "train=0.5", "val=0.5"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_plans_writes_and_leaves_the_source_alone(
    verb: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = digests(source), tmp_path / "out"
    asked = [verb, str(source), *VERBS[verb], f"--out={out}"]
    assert main([*asked, "--dry_run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["written"] is False
    assert not out.exists()
    assert main([*asked, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written == planned | {"written": True}
    folders = [Path(plan["out"]) for plan in written["plans"]]
    assert [LeRobotDataset.opened(folder).num_episodes for folder in folders] == [
        plan["episodes"] for plan in written["plans"]
    ]
    assert main([*asked]) == 2  # it exists
    assert "refused, nothing is written" in capsys.readouterr().out
    assert main([*asked, "--force", "--version=v2.1"]) == 0
    assert main(["check", *map(str, folders)]) == 0
    assert digests(source) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_the_plan_tells_what_is_copied_and_what_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    write_v30(tmp_path / "source", lengths=(4, 6, 2), cameras={TOP: (64, 64)})
    assert main(["trim", str(tmp_path / "source"), "--episodes", "1=3:6", f"--out={tmp_path / 'out'}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (coded,) = (line for line in lines if "frames encoded" in line)
    assert f"3 of {tmp_path / 'source'}, {TOP}, episode 1: their first is no key frame" in coded
    assert any("frames copied as they are │ 6," in line for line in lines)
    assert "left out: 3 of 12 frames" in lines
    assert lines[-1] == f"written to {tmp_path / 'out'}, read back and checked"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["delete", "--episodes=9"], "has no episode 9"),
        (["delete", "--episodes=1,x"], "--episodes: '1,x' is not understood"),
        (["keep", "--episodes=1,0:2"], "names 1 twice"),
        (["keep", "--episodes=3:3"], "holds nothing"),
        (["trim", "--episodes", "1=4:9"], "frames 4:9 are none of its 6"),
        (["trim", "--head=1", "--episodes", "1=0:2"], "one of --episodes, --head and --tail"),
        (["trim", "--idle=action"], "--idle and --below go together"),
        (["rename", "--features", "action"], "'action' is no pair"),
        (["drop", "--features", "acton"], "Did you mean 'action'"),
        (["tasks", "--set=a", "--normalize"], "one of --set, --map"),
        (["tasks", "--set= "], "an empty text"),
        (["split", "--lists", "a=0", "--fractions", "b=1"], "one of --fractions, --lists and --rules"),
        (["split", "--lists", "../a=0"], "a part cannot be named '../a'"),
        (["split", "--fractions", "a=most"], "expected shares"),
        (["split", "--fractions", "a=0.7", "b=0.7"], "at most 1 together"),
        (["convert", "--to=robomimic", "--storage=video"], "holds pictures, no videos"),
        (["convert", "--to=v3.0", "--version=v2.1"], "Leave --version out"),
        (["convert", "--to=v3.0", "--fps=12"], "has 10. Leave it out"),
        (["convert", "--to=v2.1", "--robot_type= "], "--robot_type is empty"),
        (["convert", "--to=robomimic", "--workers=2", "--codec=h264"], "--codec, --workers: one process writes"),
        (["convert", "--to=robomimic", "--engine=ray"], "--engine: one process writes"),
        (["split", "--lists", "a=0", "--seed=1"], "--seed says which episodes --fractions draws"),
        (["merge", "--robot_type="], "--robot_type is empty"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(
    asked: list[str], message: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([asked[0], str(source), *asked[1:], f"--out={tmp_path / 'out'}"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_dataset_that_is_not_there_is_told_by_its_neighbours(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keep", str(tmp_path / "sorce"), "--episodes=0", f"--out={tmp_path / 'out'}"]) == 2
    assert "Did you mean 'source'?" in capsys.readouterr().err


@pytest.mark.parametrize("where", [".", "inside", ".."])
def test_no_source_is_overwritten_or_written_into(where: str, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = digests(source)
    assert main(["keep", str(source), "--episodes=0", f"--out={source / where}", "--force", "--json"]) == 2
    assert "no source is written to" in json.loads(capsys.readouterr().out)["plans"][0]["refusals"][-1]
    assert digests(source) == before


def test_all_parts_of_a_split_appear_or_none(source: Path, tmp_path: Path) -> None:
    parts = by_lists(read_content(source), {"a": [0, 1], "b": [2, 3]})
    plans = {name: make_plan(part, tmp_path / "out" / name) for name, part in parts.items()}
    codecs = dict.fromkeys(plans, "h264")
    damaged = tmp_path / "damaged"
    write_v21(damaged)
    plans["b"] = make_plan(read_content(damaged), tmp_path / "out/b")
    for file in damaged.rglob("*.mp4"):
        file.write_bytes(b"no video")  # after the plan was made
    with pytest.raises(FormatError):
        write_parts(plans, tmp_path / "out", codecs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", "source"]


def test_a_folder_of_other_things_is_not_replaced(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out/mine").mkdir(parents=True)
    asked = ["split", str(source), "--lists", "a=0", "b=1", f"--out={tmp_path / 'out'}", "--force"]
    assert main(asked) == 2
    assert main([*asked, "--dry_run", "--json"]) == 2  # told before anything is done
    assert "mine, which is no LeRobot dataset" in capsys.readouterr().out
    (tmp_path / "out/mine").rmdir()
    assert main(asked) == 0
    assert main(asked) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b"]


def test_texts_with_an_equals_sign_come_from_a_file(tmp_path: Path) -> None:
    write_v21(tmp_path / "source", cameras={}, tasks=["a=b", "c", "a=b"])
    (tmp_path / "map.yaml").write_text("'a=b': it's done\n")
    out = tmp_path / "out"
    assert main(["tasks", str(tmp_path / "source"), f"--map_file={tmp_path / 'map.yaml'}", f"--out={out}"]) == 0
    assert LeRobotDataset.opened(out).tasks == ("it's done", "c")


def test_statistics_follow_from_the_data(tmp_path: Path) -> None:
    """Wrong ones of the source are not taken over; quantiles are those of numpy; the whole fits its episodes."""
    truth = write_v30(tmp_path / "source", lengths=(4, 6, 8), storage="image")
    stats = json.loads((tmp_path / "source/meta/stats.json").read_text())
    stats["action"]["mean"] = [9.0, 9.0]
    (tmp_path / "source/meta/stats.json").write_text(json.dumps(stats))
    assert main(["recompute", str(tmp_path / "source"), "--cameras", f"--out={tmp_path / 'out'}"]) == 0
    made = json.loads((tmp_path / "out/meta/stats.json").read_text())
    action = truth.columns["action"].astype(np.float64)
    np.testing.assert_allclose(made["action"]["mean"], action.mean(0), rtol=1e-12)
    np.testing.assert_allclose(made["action"]["q01"], np.quantile(action, 0.01, axis=0), rtol=1e-6)
    pixels = truth.frames[TOP].transpose(1, 0, 2, 3).reshape(3, -1) / 255
    np.testing.assert_allclose(np.reshape(made[TOP]["mean"], 3), pixels.mean(1), rtol=1e-12)
    np.testing.assert_allclose(np.reshape(made[TOP]["q90"], 3), np.quantile(pixels, 0.9, axis=1), rtol=1e-12)
    rows = episode_rows(tmp_path / "out")
    counts = np.array([row[f"stats/{TOP}/count"][0] for row in rows])
    means = np.array([np.reshape(row[f"stats/{TOP}/mean"], 3) for row in rows])
    np.testing.assert_allclose((counts[:, None] * means).sum(0) / counts.sum(), np.reshape(made[TOP]["mean"], 3))


def test_cameras_without_statistics_are_measured(tmp_path: Path) -> None:
    """v2.0 has none per episode, and LeRobot's trainings ask for them."""
    truth = write_v20(tmp_path / "source")
    assert main(["convert", str(tmp_path / "source"), "--to=v3.0", f"--out={tmp_path / 'out'}"]) == 0
    made = json.loads((tmp_path / "out/meta/stats.json").read_text())[TOP]
    pixels = truth.frames[TOP].transpose(1, 0, 2, 3).reshape(3, -1) / 255
    np.testing.assert_allclose(np.reshape(made["mean"], 3), pixels.mean(1), atol=0.02)  # as they are coded
    assert made["count"] == [15]
    assert f"stats/{TOP}/q50" in episode_rows(tmp_path / "out")[0]


def test_a_dataset_of_another_format_becomes_lerobots(real_data: Path, tmp_path: Path) -> None:
    zarr = real_data / "pusht_zarr/pusht_cchi_v7_replay.zarr"
    asked = ["convert", str(zarr), "--to=v3.0", "--fps=10", "--storage=image", "--robot_type=point"]
    assert main([*asked, f"--out={tmp_path / 'out'}"]) == 0
    made = LeRobotDataset.opened(tmp_path / "out")
    assert (made.num_episodes, made.num_frames, made.robot_type) == (40, 5077, "point")


def test_the_version_stays_unless_another_is_asked_for(tmp_path: Path) -> None:
    write_v20(tmp_path / "source", cameras={})
    for i, flag in enumerate([[], ["--version=v3.0"]]):
        assert main(["keep", str(tmp_path / "source"), "--episodes=0", f"--out={tmp_path / str(i)}", *flag]) == 0
    assert [LeRobotDataset.opened(tmp_path / str(i)).format for i in (0, 1)] == ["LeRobot v2.0", "LeRobot v3.0"]


def test_pictures_that_no_video_can_hold_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_v21(tmp_path / "source", storage="image", cameras={TOP: (31, 41)})
    asked = ["convert", str(tmp_path / "source"), "--to=v3.0", f"--out={tmp_path / 'out'}", "--json"]
    assert main([*asked, "--storage=video"]) == 2
    assert "is 31x41 (height x width)" in json.loads(capsys.readouterr().out)["plans"][0]["refusals"][0]
    assert not (tmp_path / "out").exists()
    assert main(asked) == 0


def test_a_video_shorter_than_its_rows_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_v21(tmp_path / "source", lengths=(4, 6))
    short, long = sorted((tmp_path / "source").rglob("*.mp4"))
    long.write_bytes(short.read_bytes())
    assert main(["shuffle", str(tmp_path / "source"), f"--out={tmp_path / 'out'}"]) == 2
    assert "has 4 frames, expected at least 6" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
