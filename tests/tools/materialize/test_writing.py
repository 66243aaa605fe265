"""Materializing from beginning to end: refusals, interruptions, the same bytes, and what has changed since."""

import json
import shutil
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from robomix import MixtureConfig
from robomix.cli.main import main
from robomix.errors import ConfigError, RobomixError
from robomix.features import Feature
from robomix.formats.lerobot.writer import DatasetWriter
from robomix.mixture.materialized import INDEX
from robomix.tools.build.engines.base import Engine
from robomix.tools.materialize import frame_files
from robomix.tools.materialize import run as run_module
from robomix.tools.materialize.frame_files import FrameFiles, Stretch
from robomix.tools.materialize.plan import MIXTURE_FILE
from tests.fixtures import write_v30
from tests.tools.materialize.files import SIDE, TOP, block, materialize, opened, plan_of, write_sources


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return write_sources(tmp_path_factory.mktemp("data"))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


@pytest.mark.parametrize("storage", ["frames", "video"])
def test_what_was_stopped_goes_on_with_the_next_source(
    storage: Any, sources: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, write = tmp_path / "small", run_module._write

    def stopped(part: Any, plan: Any, engine: Engine) -> None:
        if part.source.name == "two":
            part.small.frame_groups = _interrupt
        write(part, plan, engine)

    monkeypatch.setattr(run_module, "_write", stopped)
    with pytest.raises(KeyboardInterrupt):
        materialize(block(sources), out, storage)
    assert [entry.name for entry in out.iterdir() if not entry.name.startswith(".")] == ["one"]
    with pytest.raises(ConfigError, match="has finished"):
        opened(MixtureConfig.from_dict(block(sources, materialized=str(out))))
    inode = (out / "one").stat().st_ino
    monkeypatch.setattr(run_module, "_write", write)
    assert [part.is_there for part in plan_of(block(sources), out, storage).parts] == [True, False]
    materialize(block(sources), out, storage)
    assert (out / "one").stat().st_ino == inode
    assert sorted(entry.name for entry in out.iterdir()) == [INDEX, MIXTURE_FILE, "one", "two"]


def _interrupt(key: str, rows: Any) -> Any:
    raise KeyboardInterrupt


def test_frames_that_were_written_are_not_read_again(
    sources: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written of a frame store is gone on with, but for what is not as it was written."""
    monkeypatch.setattr(frame_files, "_STRETCH", 10)
    out, own, written = tmp_path / "small", FrameFiles._write, list[tuple[str, int]]()
    materialize(block(sources[:1]), tmp_path / "expected", "frames")

    def write(self: FrameFiles, file: Stretch, target: BinaryIO) -> str:
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append((file.key, file.first))
        return own(self, file, target)

    with monkeypatch.context() as patch:
        patch.setattr(FrameFiles, "_write", write)
        with pytest.raises(KeyboardInterrupt):
            materialize(block(sources[:1]), out, "frames")
        assert written == [(TOP, 0), (TOP, 10), (TOP, 20), (TOP, 30), (SIDE, 0)]
        with open(next(out.glob(f".one.*.partial/result/cameras/{TOP}.bin")), "r+b") as file:
            file.seek(25 * 3 * 24 * 40)
            file.write(b"damaged")
        (next(out.glob(".one.*.partial/result")) / "stray").touch()
        written.clear()
        materialize(block(sources[:1]), out, "frames")
    assert written == [(TOP, 20), (SIDE, 10), (SIDE, 20), (SIDE, 30)]
    assert files_of(out / "one") == files_of(tmp_path / "expected" / "one")


def test_what_was_stopped_between_its_publication_and_its_end_leaves_nothing(
    sources: list[dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "small"
    materialize(block(sources), out, "frames")
    left = out / ".one.0123456789abcdef.partial"
    left.mkdir()
    (left / "lock").touch()
    materialize(block(sources), out, "frames")
    assert sorted(entry.name for entry in out.iterdir()) == [INDEX, MIXTURE_FILE, "one", "two"]


def test_sources_are_only_read(sources: list[dict[str, Any]], tmp_path: Path) -> None:
    before = [files_of(Path(entry["root"])) for entry in sources]
    materialize(block(sources), tmp_path / "small", "frames")
    assert [files_of(Path(entry["root"])) for entry in sources] == before


def test_all_refusals_come_at_once_and_nothing_is_written(
    sources: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    other = {"type": "resize_images", "kwargs": {"height": 8, "width": 8}}
    plan = plan_of(block([sources[0] | {"transforms": [other]}, sources[1]]), tmp_path / "small", "frames")
    text = "\n".join(plan.refusals)
    assert "source 'one': its resize_images makes pictures of 8x8" in text
    assert "1 KB free, and about" in text
    with pytest.raises(ConfigError, match=r"(?s)8x8.*1 KB"):
        run_module.carry_out(plan, {})
    assert not (tmp_path / "small").exists()


def test_the_plan_knows_the_bytes_of_raw_frames(sources: list[dict[str, Any]], tmp_path: Path) -> None:
    plan = plan_of(block(sources), tmp_path / "small", "frames")
    run_module.carry_out(plan, {})
    for part in plan.parts:
        files = files_of(part.folder)
        assert part.size == sum(len(data) for name, data in files.items() if name.endswith(".bin"))
    assert plan.parts[0].size > 36 * 2 * 3 * 24 * 40


def test_what_video_cannot_hold_is_refused(sources: list[dict[str, Any]], tmp_path: Path) -> None:
    odd = plan_of(block(sources), tmp_path / "small", "video", height=25)
    assert ["even height and width" in reason for reason in odd.refusals] == [True, True]
    evaluated = plan_of(block([sources[0] | {"eval": True}]), tmp_path / "small", "video")
    assert "Name it with the source" in "".join(evaluated.refusals)
    assert not plan_of(block([sources[0] | {"eval": True}]), tmp_path / "small", "frames").refusals


def test_another_output_is_replaced_only_when_asked(sources: list[dict[str, Any]], tmp_path: Path) -> None:
    out = tmp_path / "small"
    materialize(block(sources[:1]), out, "frames")
    first = files_of(out)
    again = plan_of(block(sources[:1]), out, "frames")
    assert [part.is_there for part in again.parts] == [True]
    larger = plan_of(block(sources[:1]), out, "frames", height=30)
    assert "holds something else" in "".join(larger.refusals)
    assert files_of(out) == first
    forced = plan_of(block(sources[:1]), out, "frames", height=30, overwrite=True)
    run_module.carry_out(forced, {})
    assert opened(MixtureConfig.from_dict(block(sources[:1], materialized=str(out))))[0][TOP].shape[-2:] == (30, 40)
    (out / "notes.txt").write_text("mine")
    assert "notes.txt" in "".join(plan_of(block(sources[:1]), out, "frames", overwrite=True).refusals)


def test_frames_are_replaced_by_video_and_video_by_frames(sources: list[dict[str, Any]], tmp_path: Path) -> None:
    out = tmp_path / "small"
    for storage in ("frames", "video", "frames"):
        plan = plan_of(block(sources), out, storage, overwrite=True)  # type: ignore[arg-type]
        run_module.carry_out(plan, {"dataset": block(sources)})
        assert (out / "one/videos").exists() == (storage == "video")
        assert opened(MixtureConfig.from_dict(block(sources, materialized=str(out))))[0][TOP].shape[-2:] == (24, 40)


def test_a_changed_mixture_or_source_is_named(tmp_path: Path) -> None:
    entries, out = write_sources(tmp_path / "data"), tmp_path / "small"
    first = entries[0] | {"episodes": [0, 1], "feature_map": {SIDE: None}}
    materialize(block([first, entries[1]]), out, "frames")

    def refusal(*changed: dict[str, Any], **more: Any) -> str:
        with pytest.raises(RobomixError) as error:
            opened(MixtureConfig.from_dict(block(list(changed), materialized=str(out), **more)))
        return str(error.value)

    assert "such as 3: its frames are not in" in refusal(first | {"episodes": [0, 3]}, entries[1])
    assert "no frames of 'observation.images.side'" in refusal(entries[0] | {"episodes": [0]}, entries[1])
    assert "it was at 30 frames per second, and is at 10" in refusal(first, entries[1], rate=10)
    assert "Did you mean 'two'" in refusal(first, entries[1] | {"name": "twoo"})
    shutil.rmtree(tmp_path / "data" / "one")
    write_v30(tmp_path / "data" / "one", lengths=(9, 12), cameras={TOP: (48, 64), SIDE: (32, 48)}, seed=7)
    assert "the content of" in refusal(first, entries[1])


def test_weights_and_filters_may_change(sources: list[dict[str, Any]], tmp_path: Path) -> None:
    materialize(block(sources), tmp_path / "small", "frames")
    fewer = [sources[0] | {"episodes": [3], "weight": 5.0}, sources[1] | {"demo_limit": 1}]
    mixture = opened(MixtureConfig.from_dict(block(fewer, materialized=str(tmp_path / "small"))))
    assert [len(source.frames.ids) for source in mixture.sources] == [1, 1]
    assert mixture[0][TOP].shape == (2, 3, 24, 40)


def test_a_source_without_cameras_is_stored_too(sources: list[dict[str, Any]], tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "blind", fps=10, features={"action": Feature("numeric", "float32", (2,))}) as writer:
        writer.add_episode({"action": np.float32([[0, 1], [2, 3]])}, "wait")
    blind = {"root": str(tmp_path / "blind")}
    assert "nothing to resize" in "".join(plan_of(block([blind]), tmp_path / "small", "frames").refusals)
    for storage in ("frames", "video"):
        materialize(block([blind, sources[0]]), tmp_path / storage, storage)  # type: ignore[arg-type]


def test_the_command_plans_and_writes(
    sources: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "mix.json", tmp_path / "small"
    file.write_text(json.dumps({"dataset": block(sources)}))
    command = ["materialize", str(file), "--out", str(out), "--as", "frames", "--json"]
    assert main([*command, "--size", "16", "--dry_run"]) == 0
    assert json.loads(capsys.readouterr().out)["result"] is None
    assert not out.exists()
    assert main([*command, "--height", "16", "--width", "20"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["result"]["mixture"] == str(out / MIXTURE_FILE)
    assert [camera["psnr_db"] for camera in done["result"]["cameras"]] == [None, None, None]
    assert main([*command, "--size", "16"]) == 2
    assert main(command) == 2
    assert "give the size" in capsys.readouterr().err


@pytest.mark.parametrize("storage", ["frames", "video"])
def test_nothing_is_written_into_a_source(storage: Any, tmp_path: Path) -> None:
    entries = write_sources(tmp_path)
    inside = plan_of(block(entries), tmp_path / "one/small", storage)
    assert "no source is written to" in "".join(inside.refusals)


def test_what_cannot_be_replaced_is_told_before_anything_is_withdrawn(
    sources: list[dict[str, Any]], tmp_path: Path
) -> None:
    materialize(block(sources), tmp_path / "small", "frames")
    (tmp_path / "small/two/notes.txt").write_text("mine")
    before = files_of(tmp_path / "small")
    plan = plan_of(block(sources), tmp_path / "small", "video", overwrite=True)
    assert "holds notes.txt, which `robomix materialize` has not written" in "".join(plan.refusals)
    with pytest.raises(ConfigError, match="is not written"):
        run_module.carry_out(plan, {"dataset": block(sources)})
    assert files_of(tmp_path / "small") == before
