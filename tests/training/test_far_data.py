"""Training from object storage is training from a copy, whatever the line does; each retry is in the report."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from robomix.cli.main import main
from robomix.remote import blocks
from robomix.remote.counts import counts
from robomix.video.pool import decoders
from tests.fixtures import write_v30
from tests.remote.storage import Storage, environment, s3_storage
from tests.training.test_loop import assert_same_parameters

CAMERA = "observation.images.top"
POLICY = {"type": "bc", "device": "cpu", "hidden_dims": [16], "rnn_hidden_dim": 8}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("here") / "pick"
    write_v30(folder, lengths=(30,) * 6, cameras={CAMERA: (64, 96)}, episodes_per_video_file=3, gop=10)
    return folder


@pytest.fixture(scope="module")
def storage() -> Iterator[Storage]:
    with s3_storage() as s3, pytest.MonkeyPatch.context() as patch:
        for name, value in environment(s3).items():
            patch.setenv(name, value)
        yield s3


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, of small blocks, and a line without faults."""
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(blocks, "BLOCK", 1 << 12)
    monkeypatch.setattr(counts, "retries", 0)
    decoders.close()


def train(root: str | Path, out: Path, **training: Any) -> list[dict[str, Any]]:
    settings = {
        "dataset": {"datasets": [{"root": str(root), "name": "pick"}]},
        "policy": POLICY,
        "batch_size": 4,
        "steps": 4,
        "log_freq": 2,
        "save_freq": 0,
        "num_workers": 0,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    config = out.with_suffix(".json")
    config.write_text(json.dumps(settings | training))
    assert main(["train", f"--config_path={config}", f"--output_dir={out}"]) == 0
    assert not [thread for thread in threading.enumerate() if "read-ahead" in thread.name]
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def reference(local: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "retries", 0)  # of tests before, in the same process
        assert "retries" not in train(local, out)[-1]
    return out / "checkpoints" / "last"


@pytest.mark.slow
def test_parameters_are_those_of_a_training_from_a_copy(
    storage: Storage, local: Path, tmp_path: Path, reference: Path
) -> None:
    records = train(storage.put(local, "bucket", "plain"), tmp_path / "out")
    assert_same_parameters(reference, tmp_path / "out" / "checkpoints" / "last")
    assert "retries" not in records[-1]


def test_a_bad_line_and_a_tiny_cache_change_nothing_and_retries_are_reported(
    storage: Storage, local: Path, tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    url = storage.put(local, "bucket", "faulty")
    monkeypatch.setenv("ROBOMIX_REMOTE_CACHE", str(4 * blocks.BLOCK))
    storage.line.faults += [("info.json", "503"), ("file-000.mp4", "cut"), ("file-001.mp4", "503")]
    records = train(url, tmp_path / "out")
    assert not storage.line.faults
    assert_same_parameters(reference, tmp_path / "out" / "checkpoints" / "last")
    assert records[-1]["retries"] == 3
    assert "3 retries over the network so far" in capsys.readouterr().err


@pytest.mark.slow
def test_retries_of_workers_are_reported(storage: Storage, local: Path, tmp_path: Path, reference: Path) -> None:
    """Nothing is read ahead into a cache without room, so that the worker must fetch, in its own process."""
    url = storage.put(local, "bucket", "workers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROBOMIX_REMOTE_CACHE", "1")
        storage.line.faults += [("file-001.mp4", "503")] * 2
        records = train(url, tmp_path / "out", num_workers=1)
    assert_same_parameters(reference, tmp_path / "out" / "checkpoints" / "last")
    assert not storage.line.faults
    assert records[-1]["retries"] == 2
