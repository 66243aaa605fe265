"""A recording for the Rerun viewer, read back with rerun's own reader: numbers and pictures are those of the data."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from PIL import Image

from robomix import ConfigError, FormatError, make_mixture
from robomix.cli.main import main
from robomix.config import MixtureConfig
from robomix.formats import open_dataset
from robomix.mixture.loader import make_loader
from robomix.mixture.resolve import make_schedule
from robomix.tools.view.subject import opened
from robomix.tools.view.view import write_recording
from tests.fixtures import write_v30

load_recording = pytest.importorskip("rerun.dataframe", reason="the extra `view` is not installed").load_recording

TOP, WRIST = "observation.images.top", "observation.images.wrist"


@pytest.fixture
def mix(tmp_path: Path) -> Path:
    """Two robots: one with a camera that the other lacks, and with a wider action; the other's name has a slash."""
    write_v30(tmp_path / "one", lengths=(5, 7, 3), cameras={TOP: (32, 48), WRIST: (32, 48)}, action_dim=4, fps=20)
    write_v30(tmp_path / "two", lengths=(4, 6), seed=1, episode_ids=(3, 8))
    flip = {"type": "invert", "kwargs": {"key": "action", "entries": [0]}}
    sources = [{"root": str(tmp_path / "one")}, {"root": str(tmp_path / "two"), "name": "me/two", "transforms": [flip]}]
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump({"batch_size": 4, "seed": 5, "dataset": {"datasets": sources}}))
    return tmp_path / "mix.yaml"


def column(rrd: Path, timeline: str, entity: str, component: str) -> tuple[np.ndarray, list[Any]]:
    """Times and values of one component of an entity; times of a clock in seconds."""
    view = load_recording(rrd).view(index=timeline, contents=entity)
    table = view.select(timeline, f"{entity}:{component}").read_all()
    table = table.filter(pa.compute.is_valid(table.column(1)))
    times = table.column(0).to_numpy()
    return times if times.dtype.kind == "i" else times.astype("int64") / 1e9, table.column(1).to_pylist()


def numbers(rrd: Path, timeline: str, entity: str) -> tuple[np.ndarray, np.ndarray]:
    times, values = column(rrd, timeline, entity, "Scalars:scalars")
    return times, np.array(values)


def pictures(rrd: Path, timeline: str, entity: str) -> tuple[np.ndarray, np.ndarray]:
    """Times, and pictures (n, C, H, W)."""
    times, blobs = column(rrd, timeline, entity, "EncodedImage:blob")
    images = [Image.open(io.BytesIO(np.array(blob[0], dtype=np.uint8).tobytes())) for blob in blobs]
    assert {image.format for image in images} <= {"JPEG"}
    return times, np.stack([np.asarray(image).transpose(2, 0, 1) for image in images])


def test_episodes_hold_the_numbers_and_pictures_of_their_dataset(mix: Path) -> None:
    rrd = mix.parent / "out.rrd"
    written = write_recording(*opened(mix), rrd, samples=0, episodes=2, jpeg_quality=95)
    assert (written.samples, written.episodes, written.frames) == (0, 4, 5 + 7 + 4 + 6)
    dataset, rows = open_dataset(mix.parent / "one"), slice(5, 12)
    place = "/episodes/one/1"
    times, action = numbers(rrd, "frame_index", f"{place}/action")
    assert times.tolist() == list(range(7))
    np.testing.assert_array_equal(action, dataset.column("action")[rows])
    seconds, state = numbers(rrd, "timestamp", f"{place}/state")
    np.testing.assert_allclose(seconds, np.arange(7) / 20)
    np.testing.assert_array_equal(state, dataset.column("observation.state")[rows])
    frames, images = pictures(rrd, "frame_index", f"{place}/{TOP}")
    assert frames.tolist() == list(range(7))
    assert np.abs(images.astype(int) - dataset.read_frames(TOP, np.arange(5, 12))).mean() < 4
    assert column(rrd, "frame_index", f"{place}/about", "TextDocument:text")[1] == [["task 1"]]


def test_episodes_are_shown_after_the_transforms_with_what_their_dataset_has(mix: Path) -> None:
    rrd = mix.parent / "out.rrd"
    write_recording(*opened(mix), rrd, samples=0)
    recorded = open_dataset(mix.parent / "two").column("action")[:4]
    _, action = numbers(rrd, "frame_index", r"/episodes/me\/two/3/action")
    assert action.shape == (4, 2)  # the mixture's is 4 wide
    np.testing.assert_allclose(action[:, 0], 1 - recorded[:, 0], atol=1e-6)
    np.testing.assert_array_equal(action[:, 1], recorded[:, 1])
    entities = {column.entity_path for column in load_recording(rrd).schema().component_columns()}
    assert r"/episodes/me\/two/3/observation.images.top" in entities
    assert r"/episodes/me\/two/3/observation.images.wrist" not in entities
    assert not any(path.startswith("/samples") for path in entities)


def test_samples_are_the_first_that_a_training_draws(mix: Path) -> None:
    rrd = mix.parent / "out.rrd"
    write_recording(*opened(mix), rrd, samples=10, episodes=0)
    config = MixtureConfig.from_dict(yaml.safe_load(mix.read_text())["dataset"])
    mixture = make_mixture(config)
    schedule = make_schedule(mixture.sources, config, seed=5, batch_size=4)
    batches = list(make_loader(mixture, schedule, stop=3))
    drawn = {key: np.concatenate([b[key].numpy() for b in batches])[:10] for key in batches[0] if key != "task"}
    times, action = numbers(rrd, "sample", "/samples/action")
    assert times.tolist() == list(range(10))
    np.testing.assert_array_equal(action, drawn["action"])
    _, mask = numbers(rrd, "sample", "/samples/action_dim_is_pad")
    np.testing.assert_array_equal(mask, drawn["action_dim_is_pad"])
    np.testing.assert_array_equal(numbers(rrd, "sample", "/samples/state")[1], drawn["observation.state"])
    assert len(pictures(rrd, "sample", f"/samples/{TOP}")[0]) == 10


def test_padding_of_samples_is_marked(mix: Path) -> None:
    rrd = mix.parent / "out.rrd"
    mixture, schedule = opened(mix)
    write_recording(mixture, schedule, rrd, samples=12, episodes=0)
    _, texts = column(rrd, "sample", "/samples/about", "TextDocument:text")
    padded = np.array([text[0].startswith("me/two") for text in texts])
    assert 0 < padded.sum() < 12
    _, mask = numbers(rrd, "sample", f"/samples/{WRIST}_is_pad")
    np.testing.assert_array_equal(mask[:, 0], padded)
    times, labels = column(rrd, "sample", f"/samples/{WRIST}/label", "Boxes2D:labels")
    labelled = {int(time): label[0] for time, label in zip(times, labels, strict=True) if label}  # cleared: empty
    assert labelled == dict.fromkeys(np.flatnonzero(padded).tolist(), "padding: me/two has no such camera")
    _, images = pictures(rrd, "sample", f"/samples/{WRIST}")
    assert (images[padded] == 0).all()
    text = texts[int(np.flatnonzero(padded)[0])][0].splitlines()
    assert text[0].startswith(("me/two, episode 3, frame", "me/two, episode 8, frame"))
    assert {f"padding: {WRIST}", "padding: action from entry 2 on"} <= set(text)


def test_curves_have_the_names_of_the_entries(mix: Path) -> None:
    rrd = mix.parent / "out.rrd"
    write_recording(*opened(mix), rrd, samples=0)
    view = load_recording(rrd).view(index="frame_index", contents="/episodes/one/0/**")
    table = view.select_static("/episodes/one/0/action:SeriesLines:names").read_all()
    assert table.column(0).to_pylist() == [list(open_dataset(mix.parent / "one").features["action"].names or ())]


def test_a_dataset_is_viewed_without_a_file(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rrd, path = tmp_path / "out.rrd", real_data / "pusht_zarr" / "pusht_cchi_v7_replay.zarr"
    assert main(["view", str(path), f"--rrd={rrd}", "--fps=10", "--samples=3"]) == 0
    assert "3 samples and 1 episodes of 161 frames" in capsys.readouterr().out
    dataset = open_dataset(path, fps=10)
    _, images = pictures(rrd, "frame_index", "/episodes/pusht_cchi_v7_replay.zarr/0/observation.images.img")
    assert images.shape == (161, 3, 96, 96)
    assert np.abs(images.astype(int) - dataset.read_frames("observation.images.img", np.arange(161))).mean() < 3
    assert rrd.stat().st_size < 161 * 3 * 96 * 96 / 4


def test_mistakes_are_told(mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = mix.parent / "out.rrd"
    out.write_bytes(b"mine")
    for flags, text in [
        ([f"--rrd={out}"], "exists already, and is not overwritten"),
        ([f"--rrd={mix.parent / 'out.mp4'}"], "expected a name that ends in .rrd"),
        ([f"--rrd={mix.parent / 'new.rrd'}", "--samples=-1"], "--samples: found -1, expected 0 to"),
        ([f"--rrd={mix.parent / 'new.rrd'}", "--fps=10"], "--fps is for a single dataset"),
    ]:
        assert main(["view", str(mix), *flags]) == 2
        assert text in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert sorted(path.name for path in mix.parent.iterdir()) == ["mix.yaml", "one", "out.rrd", "two"]


def test_without_the_package_the_extra_is_named(mix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match=r"needs the package rerun-sdk.*pip install 'robomix\[view\]'"):
        write_recording(*opened(mix), mix.parent / "out.rrd")


def test_a_reading_that_fails_leaves_no_file(mix: Path) -> None:
    mixture, schedule = opened(mix)
    next((mix.parent / "one").rglob("*.mp4")).unlink()
    with pytest.raises(FormatError):
        write_recording(mixture, schedule, mix.parent / "out.rrd")
    assert sorted(path.name for path in mix.parent.iterdir()) == ["mix.yaml", "one", "two"]
