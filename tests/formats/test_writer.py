"""Datasets that robomix writes: LeRobot reads them back equal, files rotate, statistics are exact."""

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from robomix.formats import open_dataset
from robomix.formats.lerobot.write_tables import Place
from robomix.formats.lerobot.writer import DatasetWriter
from tests.formats.writing import (
    FEATURES,
    TOP,
    WRIST,
    add_episodes,
    episode,
    lerobot_dataset,
    numeric_columns,
    video_frames,
    windows,
    write,
)
from tests.pictures import picture, row_and_camera


@pytest.mark.parametrize("fps", [10, 29.97, Fraction(30000, 1001)])
@pytest.mark.parametrize("codec", ["libsvtav1", "h264"])
def test_lerobot_reads_back_what_was_written(tmp_path: Path, fps: Fraction | float, codec: str) -> None:
    path, lengths = tmp_path / "set", [5, 1, 4]
    tasks = ["pick", "plâce the cup's lid", ["pick", "öffnen", "öffnen", "pick"]]
    given = write(path, lengths, tasks, fps=fps, codec=codec)
    dataset, rows = lerobot_dataset(path), windows(path)
    exact = Fraction(fps).limit_denominator(1001)
    top = np.concatenate([video_frames(path, row, exact) for row in rows])
    texts = ["pick"] * 5 + ["plâce the cup's lid"] + ["pick", "öffnen", "öffnen", "pick"]
    frame_index = np.concatenate([np.arange(n) for n in lengths])
    assert len(dataset) == 10
    assert dataset.meta.robot_type == "bot"
    for r in range(10):
        item = dataset[r]
        for key in numeric_columns(1, 0):
            expected = given[key][r].astype(np.float32)  # LeRobot reads float64 as float32
            assert np.array_equal(item[key].numpy().reshape(expected.shape), expected), key
        assert row_and_camera(item[TOP].numpy()) == (r, 0)
        assert np.array_equal(item[TOP].numpy(), top[r])
        assert np.array_equal(np.round(item[WRIST].numpy() * 255).astype(np.uint8), given[WRIST][r])
        assert item["task"] == texts[r]
        assert item["timestamp"] == np.float32(frame_index[r] / float(exact))
        assert [item[key].item() for key in ("index", "frame_index")] == [r, frame_index[r]]
        assert item["episode_index"] == np.repeat([0, 1, 2], lengths)[r]


def test_lerobot_reads_windows_and_single_episodes(tmp_path: Path) -> None:
    write(tmp_path / "set", [5, 7, 3])
    dataset = lerobot_dataset(tmp_path / "set", episodes=[1], delta_timestamps={TOP: [-0.1, 0.0], "action": [0, 0.1]})
    assert len(dataset) == 7
    assert [row_and_camera(image.numpy())[0] for image in dataset[3][TOP]] == [7, 8]


def test_files_rotate_at_their_size_limits(tmp_path: Path) -> None:
    path, lengths = tmp_path / "set", [20, 31, 25, 30]
    given = write(path, lengths, data_file_mb=0.005, video_file_mb=0.002, codec="h264")
    rows, dataset = windows(path), lerobot_dataset(path)
    assert [row["data/file_index"] for row in rows] == [0, 1, 2, 3]
    video_files = [row[f"videos/{TOP}/file_index"] for row in rows]
    assert video_files[0] == 0
    assert 1 <= video_files[-1] <= 3, "at least one new file, and not more than episodes"
    assert len(list(path.glob(f"videos/{TOP}/*/*.mp4"))) == video_files[-1] + 1
    for r in range(sum(lengths)):
        assert row_and_camera(dataset[r][TOP].numpy()) == (r, 0)
        assert np.array_equal(dataset[r]["pose"].numpy(), given["pose"][r])


def test_the_file_after_number_999_opens_the_next_folder() -> None:
    assert Place(0, 7).next() == Place(0, 8)
    assert Place(0, 999).next() == Place(1, 0)
    assert Place(2, 999).fill("chunk-{chunk_index:03d}/file-{file_index:03d}") == "chunk-002/file-999"


def test_layout_of_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "set"
    write(path, [5, 7, 3], ["b", ["a", "b", "a", "c", "c", "c", "a"], "a"])
    data = pq.ParquetFile(path / "data/chunk-000/file-000.parquet")
    assert [data.metadata.row_group(i).num_rows for i in range(data.num_row_groups)] == [5, 7, 3]
    assert TOP not in data.schema_arrow.names
    assert json.loads(data.schema_arrow.metadata[b"huggingface"])["info"]["features"][WRIST] == {"_type": "Image"}
    tasks = pq.read_table(path / "meta/tasks.parquet").to_pydict()
    assert tasks == {"task_index": [0, 1, 2], "task": ["b", "a", "c"]}
    rows = windows(path)
    assert [row["tasks"] for row in rows] == [["b"], ["a", "b", "c"], ["a"]]
    assert [(row["dataset_from_index"], row["dataset_to_index"]) for row in rows] == [(0, 5), (5, 12), (12, 15)]
    assert [row[f"videos/{TOP}/from_timestamp"] for row in rows] == [0.0, 0.5, 1.2]
    assert [row[f"videos/{TOP}/to_timestamp"] for row in rows] == [0.5, 1.2, 1.5]
    info = json.loads((path / "meta/info.json").read_text())
    assert (info["fps"], info["total_episodes"], info["total_frames"], info["total_tasks"]) == (10, 3, 15, 3)
    assert info["features"]["gripper"]["shape"] == info["features"]["count"]["shape"] == [1]
    assert info["features"][TOP]["info"]["video.codec"] == "av1"
    assert info["features"][WRIST] == {"dtype": "image", "shape": [31, 41, 3], "names": ["height", "width", "channels"]}


def test_huggingface_datasets_opens_the_tables(tmp_path: Path) -> None:
    import datasets

    given = write(tmp_path / "set", [3, 2])
    table = datasets.Dataset.from_parquet(str(tmp_path / "set/data/chunk-000/file-000.parquet"))
    assert isinstance(table.features[WRIST], datasets.Image)
    assert table.features["observation.state"].length == 3
    assert np.array_equal(np.asarray(table[4][WRIST]).transpose(2, 0, 1), given[WRIST][4])


@pytest.mark.parametrize("codec", ["libsvtav1", "h264"])
def test_each_episode_starts_on_a_key_frame(tmp_path: Path, codec: str) -> None:
    write(tmp_path / "set", [5, 7, 3], codec=codec)
    with av.open(str(next((tmp_path / "set").glob("videos/*/*/*.mp4")))) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert {i for i, packet in enumerate(packets) if packet.is_keyframe} >= {0, 5, 12}
    assert len(packets) == 15


def test_statistics_are_those_of_numpy(tmp_path: Path) -> None:
    given = write(tmp_path / "set", [5, 7, 3])
    stats = json.loads((tmp_path / "set/meta/stats.json").read_text())
    for key in ("observation.state", "action", "pose", "count"):
        check_stats(stats[key], given[key].astype(np.float64), 0)
    check_stats(stats["index"], np.arange(15.0)[:, None], 0)
    for key in (TOP, WRIST):
        check_stats(stats[key], given[key] / 255, (0, 2, 3), (3, 1, 1))
    second = windows(tmp_path / "set")[1]
    kept = {key: value for key, value in second.items() if key.startswith("stats/")}
    check_stats(named(kept, "stats/action/"), given["action"][5:12], 0)
    check_stats(named(kept, f"stats/{TOP}/"), given[TOP][5:12] / 255, (0, 2, 3), (3, 1, 1))


def named(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


def check_stats(stats: dict[str, Any], values: np.ndarray, axis: Any, shape: tuple[int, ...] | None = None) -> None:
    shape = shape or values.shape[1:]
    expected = {name: getattr(np, name)(values, axis=axis) for name in ("min", "max", "mean", "std")}
    quantiles = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
    expected |= {name: np.quantile(values, q, axis=axis) for name, q in quantiles.items()}
    assert set(stats) == {*expected, "count"}
    assert stats["count"] == [len(values)]
    for name, value in expected.items():
        assert np.shape(stats[name]) == shape
        assert np.allclose(stats[name], value.reshape(shape), rtol=0, atol=1e-9), name


def test_cameras_may_be_streams_that_are_read_in_step(tmp_path: Path) -> None:
    features = {"action": FEATURES["action"], TOP: FEATURES[TOP], "second": FEATURES[TOP]}
    order: list[str] = []

    def stream(camera: int) -> Iterator[np.ndarray]:
        for row in range(6):
            order.append(f"{camera}:{row}")
            yield picture(row, camera, 32, 48)

    with DatasetWriter(tmp_path / "set", fps=10, features=features) as writer:
        writer.add_episode({"action": np.zeros((6, 2)), TOP: stream(0), "second": stream(1)}, "t")
    assert order == [f"{camera}:{row}" for row in range(6) for camera in range(2)]
    assert row_and_camera(lerobot_dataset(tmp_path / "set")[4]["second"].numpy()) == (4, 1)


def test_state_only_and_odd_folder_names(tmp_path: Path) -> None:
    path = tmp_path / "it's grün {x} 100%d" / "set"
    with DatasetWriter(path, fps=50, features={"action": FEATURES["action"]}) as writer:
        writer.add_episode({"action": np.ones((4, 2))}, "")
    assert json.loads((path / "meta/info.json").read_text())["video_path"] is None
    assert lerobot_dataset(path)[3]["action"].tolist() == [1, 1]
    assert not (path / "videos").exists()


def test_lerobot_records_on_into_the_dataset(tmp_path: Path) -> None:
    features = {key: FEATURES[key] for key in ("observation.state", TOP, WRIST)}
    columns = {key: values for key, values in episode(4).items() if key in features}
    add_episodes(tmp_path / "set", columns, features=features)
    recording = type(lerobot_dataset(tmp_path / "set")).resume("local/set", root=tmp_path / "set")
    for row in range(4, 7):
        top, wrist = (picture(row, camera, *size) for camera, size in enumerate([(32, 48), (31, 41)]))
        frame = {"observation.state": np.full(3, row, np.float32), "task": "more"}
        recording.add_frame(frame | {TOP: top.transpose(1, 2, 0), WRIST: wrist.transpose(1, 2, 0)})
    recording.save_episode()
    recording.finalize()
    items = list(lerobot_dataset(tmp_path / "set"))
    assert [row_and_camera(item[TOP].numpy())[0] for item in items] == list(range(7))
    assert [item["task"] for item in items] == ["t"] * 4 + ["more"] * 3


def test_robomix_reads_back_what_was_written(tmp_path: Path) -> None:
    given = write(tmp_path / "set", [5, 1, 7], data_file_mb=0.005, fps=Fraction(30000, 1001))
    dataset = open_dataset(tmp_path / "set")
    assert dataset.fps == Fraction(30000, 1001)
    assert dataset.episodes.lengths.tolist() == [5, 1, 7]
    for key in numeric_columns(1, 0):
        assert dataset.column(key).dtype == given[key].dtype
        assert np.array_equal(dataset.column(key).reshape(given[key].shape), given[key])
    assert np.array_equal(dataset.read_frames(WRIST, np.arange(13)), given[WRIST])
    assert [row_and_camera(image) for image in dataset.read_frames(TOP, np.arange(13))] == [(r, 0) for r in range(13)]
