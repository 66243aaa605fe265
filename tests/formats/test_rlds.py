"""Reading RLDS datasets of TFDS without TensorFlow: what was written comes back, and what cannot be read says why."""

import io
import json
import multiprocessing
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from PIL import Image

from robomix.errors import FormatError
from robomix.formats import Dataset, open_dataset
from robomix.formats.rlds.example import parse_example
from tests.damage import truncate
from tests.formats.fuzz_stores import attempt_rlds, write_rlds_bases
from tests.formats.test_zarr_buffer import assert_reads, opened
from tests.rlds_files import (
    TEXT,
    declaration,
    episode_records,
    example,
    group,
    image,
    tensor,
    write_rlds,
    write_shards,
)

TOP = "observation.images.top"


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    truth = write_rlds(tmp_path / "toy" / "1.0.0")
    dataset = opened(truth.path, fps=5)
    assert_reads(dataset, truth)
    assert (dataset.format, dataset.fps, dataset.robot_type) == ("RLDS 1.0.0", 5, None)
    assert dataset.features["language_instruction"].kind == "text"
    assert {name: ids.tolist() for name, ids in dataset.subsets.items()} == {"train": [0, 1], "val": [2]}


def test_the_folder_of_a_dataset_with_one_version_is_enough(tmp_path: Path) -> None:
    truth = write_rlds(tmp_path / "toy" / "1.0.0")
    assert opened(tmp_path / "toy").fingerprint == opened(truth.path).fingerprint
    write_rlds(tmp_path / "toy" / "1.1.0")
    with pytest.raises(
        FormatError, match=r"toy holds the versions 1.0.0, 1.1.0 of a dataset. Open one of them: .*1.1.0"
    ):
        opened(tmp_path / "toy")
    with pytest.raises(FormatError, match=r"is not a dataset robomix knows.*but .*toy is one"):
        opened(tmp_path)


def test_the_second_opening_reads_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = write_rlds(tmp_path / "toy" / "1.0.0")
    opened(truth.path)
    monkeypatch.setattr("robomix.formats.rlds.build.mapped", None)
    assert_reads(opened(truth.path, fps=20), truth)


def frames_of(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    return dataset.read_frames(TOP, rows)


def test_a_spawned_worker_reads_the_same_from_a_small_pickle(tmp_path: Path) -> None:
    truth = write_rlds(tmp_path / "toy" / "1.0.0")
    dataset = opened(truth.path)
    assert len(pickle.dumps(dataset)) < 1000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        read = pool.apply(frames_of, (dataset, np.array([3, 1])))
    np.testing.assert_array_equal(read, truth.frames[TOP][[3, 1]])


def test_numbers_packed_or_not_and_of_any_length_are_understood() -> None:
    numbers = np.array([0, 1, -1, 127, 128, 300, 2**62, -(2**63)])
    floats = np.array([0.5, -2.0], np.float32)
    for packed in (True, False):
        record = parse_example(memoryview(example({"a": numbers, "b": floats, "c": [b"x", b""]}, packed=packed)))
        assert record["a"].ints().tolist() == numbers.tolist()
        assert record["b"].floats().tolist() == floats.tolist()
        assert [bytes(blob) for blob in record["c"].blobs()] == [b"x", b""]


def test_the_declarations_of_older_tfds_are_understood(tmp_path: Path) -> None:
    prefix = "tensorflow_datasets.core.features."
    number = {"type": prefix + "feature.Tensor", "content": {"shape": [2], "dtype": "float32"}}
    text = {"type": prefix + "text_feature.Text", "content": {}}
    steps = {"type": prefix + "features_dict.FeaturesDict", "content": {"action": number, "language_instruction": text}}
    nested = {"type": prefix + "dataset_feature.Dataset", "content": {"feature": steps, "length": None}}
    declared = {"type": prefix + "features_dict.FeaturesDict", "content": {"steps": nested}}
    actions = np.arange(6, dtype=np.float32).reshape(3, 2)
    write_shards(tmp_path / "a", declared, {"train": [episode_records({"action": actions}, {}, ["go"] * 3, [3])]})
    dataset = opened(tmp_path / "a")
    np.testing.assert_array_equal(dataset.column("action"), actions)
    assert dataset.tasks == ("go",)


def test_the_text_of_an_episode_is_the_task_of_its_steps(tmp_path: Path) -> None:
    declared = declaration({"action": tensor("float32", 1)}, episode_metadata=group(language_instruction=TEXT))
    values = {"steps/action": np.zeros((2, 1), np.float32)}
    records = [example(values | {"episode_metadata/language_instruction": [text]}) for text in (b"pick", b"place")]
    write_shards(tmp_path / "a", declared, {"train": [records]})
    dataset = opened(tmp_path / "a")
    assert [dataset.tasks[i] for i in dataset.task_indices()] == ["pick", "pick", "place", "place"]
    assert set(dataset.features) == {"action"}


def test_what_is_not_read_is_named_and_an_episode_without_steps_left_out(tmp_path: Path) -> None:
    steps = {
        "action": tensor("float32", 1),
        "points": tensor("float32", -1, 3),
        "depth": {"image": {"shape": {"dimensions": ["4", "4", "1"]}, "dtype": "uint16"}},
        "sound": {"pythonClassName": "tensorflow_datasets.core.features.audio_feature.Audio", "audio": {}},
    }
    records = [example({"steps/action": np.zeros((n, 1), np.float32)}) for n in (2, 0, 1)]
    write_shards(tmp_path / "toy", declaration(steps), {"train": [records]})
    with pytest.warns(UserWarning, match="left out") as caught:
        dataset = open_dataset(tmp_path / "toy", fps=5)
    told = " ".join(str(warning.message) for warning in caught)
    for part in (
        "'steps/points': it is a tensor",
        "'steps/depth': it is a picture of 'uint16'",
        "'Audio'",
        "record 1 of",
    ):
        assert part in told
    assert dataset.episodes.lengths.tolist() == [2, 1]
    assert dataset.tasks == ("toy",)


def shard(split: str = "train", number: int = 0) -> Callable[[Path], Path]:
    return lambda root: next(root.glob(f"toy-{split}.tfrecord-{number:05d}-*"))


def flip(place: int) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        file = shard()(root)
        content = bytearray(file.read_bytes())
        content[place] ^= 1
        file.write_bytes(content)

    return change


def declare(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        declared = json.loads((root / "features.json").read_text())
        change(declared["featuresDict"]["features"]["steps"]["sequence"]["feature"]["featuresDict"]["features"])
        (root / "features.json").write_text(json.dumps(declared))

    return edit


def inform(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        info = json.loads((root / "dataset_info.json").read_text())
        change(info)
        (root / "dataset_info.json").write_text(json.dumps(info))

    return edit


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda root: truncate(shard()(root)), r"ends inside record 0, which starts at byte 0: the copy was cut short"),
        (lambda root: truncate(shard()(root), 0), r"00000-of-00002 is empty \(0 bytes\)"),
        (flip(0), r"the length of record 0, at byte 0, does not match its checksum"),
        (flip(40), r"record 0 does not match its checksum"),
        (lambda root: shard(number=1)(root).unlink(), r"lacks 1 of 3 shards, such as toy-train.tfrecord-00001-of"),
        (lambda root: (root / "features.json").unlink(), r"has TFRecord files, but no features.json"),
        (lambda root: (root / "dataset_info.json").unlink(), r"dataset_info.json does not exist"),
        (declare(lambda f: f.update(extra=tensor("float32"))), r"'steps/extra', stored as a list of float, but the"),
        (declare(lambda f: f.update(reward=tensor("int64"))), r"'steps/reward', stored as a list of int, .* of float"),
        (declare(lambda f: f.update(is_last=tensor("float32"))), r"list of float, but the record has a list of int"),
        (declare(lambda f: f["action"].update(group(arm=tensor("float32", 4)))), r"15 values, expected a multiple"),
        (declare(lambda f: f["action"].update(group(arm=tensor("float32", 5)))), r"different numbers of steps.*arm 3"),
        (declare(lambda f: f.update(observation=group(count=tensor("int8")))), r"features.json declares it int8"),
        (declare(lambda f: f.update(observation=group(top=image(9, 9, 3), images=group(top=image(9, 9, 3))))),
         r"several features that mean 'observation.images"),
        (declare(lambda f: f.clear()), r"declares no 'steps' with readable features"),
        (inform(lambda i: i.update(fileFormat="array_record")), r"fileFormat is 'array_record'; robomix reads"),
        (inform(lambda i: i.pop("splits")), r"names no splits"),
        (inform(lambda i: i["splits"][0].update(shardLengths=["2", "1"])), r"has 1 records, but .* says 2"),
        (inform(lambda i: i["splits"][0].update(filepathTemplate="../{SPLIT}")), r"gives '../train', expected"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(tmp_path: Path, harm: Callable[[Path], None], message: str) -> None:
    truth = write_rlds(tmp_path / "toy" / "1.0.0")
    harm(truth.path)
    with pytest.raises(FormatError, match=message):
        opened(truth.path)


def test_shards_are_found_by_name_where_their_lengths_are_not_listed(tmp_path: Path) -> None:
    truth = write_rlds(tmp_path / "toy" / "1.0.0")
    inform(lambda info: [split.pop("shardLengths") for split in info["splits"]])(truth.path)
    assert_reads(opened(truth.path), truth)
    shard()(truth.path).unlink()
    with pytest.raises(FormatError, match=r"lacks 1 of 3 shards, such as toy-train.tfrecord-00000-of-00002"):
        opened(truth.path)


def example_class() -> type:
    """tf.train.Example, built from a description rather than from TensorFlow."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="t", syntax="proto3")
    kinds = {"BytesList": "TYPE_BYTES", "FloatList": "TYPE_FLOAT", "Int64List": "TYPE_INT64"}

    def message(name: str, *fields: tuple[str, int, str, str], nested: Any = None) -> None:
        made = file.message_type.add(name=name)
        for field, number, label, kind in fields:
            added = made.field.add(name=field, number=number, label=label)
            added.type = "TYPE_MESSAGE" if kind.startswith(".") else kind
            if kind.startswith("."):
                added.type_name = kind
        if nested:
            entry = made.nested_type.add(name="FeatureEntry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL")
            entry.field.add(name="value", number=2, type="TYPE_MESSAGE", type_name=nested, label="LABEL_OPTIONAL")

    for name, kind in kinds.items():
        message(name, ("value", 1, "LABEL_REPEATED", kind))
    message("Feature", *[(name, i + 1, "LABEL_OPTIONAL", f".t.{name}") for i, name in enumerate(kinds)])
    message("Features", ("feature", 1, "LABEL_REPEATED", ".t.Features.FeatureEntry"), nested=".t.Feature")
    message("Example", ("features", 1, "LABEL_OPTIONAL", ".t.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Example"))


def records_of(file: Path) -> list[Any]:
    data, place, found, kind = file.read_bytes(), 0, [], example_class()
    while place < len(data):
        length = struct.unpack_from("<Q", data, place)[0]
        found.append(kind.FromString(data[place + 12 : place + 12 + length]).features.feature)
        place += length + 16
    return found


def test_real_episodes_equal_decoding_with_protobuf_and_pil(real_data: Path) -> None:
    root = real_data / "bridge_rlds" / "bridge_dataset"
    dataset = opened(root, fps=5)
    assert (dataset.num_episodes, dataset.num_frames) == (50, 500)
    assert {name: len(ids) for name, ids in dataset.subsets.items()} == {"train": 25, "val": 25}
    records = [
        record
        for split in ("train", "val")
        for file in [next(root.glob(f"*/*{split}*"))]
        for record in records_of(file)
    ]
    for name, key in {"action": "action", "observation/state": "observation.state", "reward": "next.reward"}.items():
        expected = np.concatenate([np.array(r[f"steps/{name}"].FloatList.value, np.float32) for r in records])
        np.testing.assert_array_equal(dataset.column(key).reshape(-1), expected)
    last = np.concatenate([np.array(r["steps/is_last"].Int64List.value, bool) for r in records])
    np.testing.assert_array_equal(dataset.column("next.done"), last)
    texts = [text.decode() for r in records for text in r["steps/language_instruction"].BytesList.value]
    assert [dataset.tasks[i] for i in dataset.task_indices()] == texts
    for camera in range(4):
        rows = [0, 9, 123, 499]
        read = dataset.read_frames(f"observation.images.image_{camera}", np.array(rows))
        for row, frame in zip(rows, read, strict=True):
            blob = records[row // 10][f"steps/observation/image_{camera}"].BytesList.value[row % 10]
            np.testing.assert_array_equal(frame, np.asarray(Image.open(io.BytesIO(blob))).transpose(2, 0, 1))


def test_damage_of_any_kind_is_read_or_refused(tmp_path: Path) -> None:
    bases = write_rlds_bases(tmp_path / "bases")
    results = [attempt_rlds(bases[seed % len(bases)], seed, tmp_path / "copy") for seed in range(100)]
    assert 5 < results.count("read") < 95
    assert set(results) == {"read", "refused"}
