"""What a plan says of bytes is about what lies on the disk afterwards."""

import json
from pathlib import Path
from typing import Any

import pytest

from robomix.cli.main import main
from robomix.config import MixtureConfig
from robomix.tools.build.frames import encodable
from robomix.tools.build.trial import tried
from robomix.tools.materialize.plan import make_plan
from robomix.tools.materialize.run import carry_out
from robomix.video.remux import Clip
from tests.fixtures import write_v21, write_v30
from tests.tools.edited import TOP


def planned_and_written(asked: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], int]:
    """The plan, and the bytes of rows and videos that carrying it out has made."""
    capsys.readouterr()
    assert main([*asked, f"--out={out}", "--json"]) == 0
    [plan] = json.loads(capsys.readouterr().out)["plans"]
    return plan, size_of(out)


def size_of(out: Path) -> int:
    files = [out] if out.is_file() else [*out.glob("data/**/*.parquet"), *out.glob("videos/**/*.mp4")]
    return sum(file.stat().st_size for file in files)


CHANGES = {
    "video, copied": ["--to=v2.1"],
    "pictures": ["--to=v3.0", "--storage=image"],
    "hdf5": ["--to=robomimic"],
}


@pytest.mark.parametrize("change", CHANGES)
def test_of_a_recording(change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_v30(tmp_path / "source", lengths=(150, 100), cameras={TOP: (96, 128)}, tasks=["open", "open"])
    out = tmp_path / "out.hdf5" if "hdf5" in change else tmp_path / "out"
    plan, size = planned_and_written(["convert", str(tmp_path / "source"), *CHANGES[change]], out, capsys)
    assert size / 2 < plan["bytes"] < size * 2
    assert plan["seconds"] > 0


@pytest.mark.parametrize("codec", ["libsvtav1", "h264", "h264_lossless"])
def test_of_frames_that_are_encoded(codec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_v21(tmp_path / "source", lengths=(150, 100), cameras={TOP: (96, 128)}, gop=12)
    asked = ["trim", str(tmp_path / "source"), "--head=5", f"--codec={codec}", "--version=v3.0"]
    plan, _ = planned_and_written(asked, tmp_path / "out", capsys)
    encoded = sum(file.stat().st_size for file in tmp_path.glob("out/videos/**/*.mp4"))
    assert (plan["copied_frames"], plan["encoded_frames"]) == (0, 240)
    assert encoded / 2 < plan["encoded_bytes"] < encoded * 2


@pytest.mark.parametrize("flags", [["--storage=image"], ["--codec=h264"], ["--codec=h264_lossless"]], ids=str)
def test_of_real_pictures(
    flags: list[str], real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = real_data / "pusht_zarr/pusht_cchi_v7_replay.zarr"
    plan, size = planned_and_written(["convert", str(source), "--to=v3.0", "--fps=10", *flags], tmp_path / "o", capsys)
    assert size / 2 < plan["bytes"] < size * 2


@pytest.mark.parametrize("storage", ["video", "frames"])
def test_of_a_mixture_that_is_materialized(storage: Any, tmp_path: Path) -> None:
    write_v30(tmp_path / "source", lengths=(150, 100), cameras={TOP: (96, 128)})
    block = {"datasets": [{"root": str(tmp_path / "source")}]}
    plan = make_plan(MixtureConfig.from_dict(block), tmp_path / "small", height=48, width=64, storage=storage)
    carry_out(plan, {"dataset": block})
    files = [path for path in (tmp_path / "small/source").rglob("*") if path.suffix in (".mp4", ".parquet", ".bin")]
    written = sum(path.stat().st_size for path in files)
    assert written / 2 < plan.needed < written * 2
    assert plan.seconds > 0


def test_what_is_replaced_stays_and_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_v30(tmp_path / "source", lengths=(4, 6))
    write_v30(tmp_path / "old", lengths=(8, 9))
    old = sum(path.stat().st_size for path in (tmp_path / "old").rglob("*") if path.is_file())
    asked = ["keep", str(tmp_path / "source"), "--episodes=0", "--force", "--dry_run"]
    plan, _ = planned_and_written(asked, tmp_path / "old", capsys)
    assert plan["replaced_bytes"] == old
    assert main([*asked, f"--out={tmp_path / 'old'}"]) == 0
    assert "there stay until all is complete" in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_parts_need_room_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_v30(tmp_path / "source", lengths=(40, 40))
    asked = ["split", str(tmp_path / "source"), "--lists", "a=0", "b=1", f"--out={tmp_path / 'out'}", "--json"]
    assert main([*asked, "--dry_run"]) == 0
    first, second = (plan["bytes"] for plan in json.loads(capsys.readouterr().out)["plans"])
    monkeypatch.setattr("robomix.tools.build.places.free_for", lambda _: round(1.2 * max(first, second)))
    assert main([*asked, "--dry_run"]) == 2


def test_frames_that_cannot_be_read_are_judged_by_a_rough_rate(tmp_path: Path) -> None:
    write_v21(tmp_path / "source", lengths=(4,))
    [video] = tmp_path.glob("source/videos/**/*.mp4")
    beyond = encodable(Clip(video, 0, 9), "")
    assert tried([beyond], lambda _: 1, 0.5).bytes == 0.5 * 32 * 48
