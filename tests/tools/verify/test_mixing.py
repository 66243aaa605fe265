"""What an order costs is what decoders do, and how well it mixes is what can be counted by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.config import MixtureConfig
from robomix.mixture.factory import make_mixture
from robomix.mixture.resolve import make_schedule
from robomix.tools.verify.mixing import mixing
from robomix.tools.verify.result import OrderSeen
from robomix.tools.verify.run import verify
from robomix.tools.verify.subject import Subject
from robomix.tools.verify.table import tables
from robomix.video.decode import Decoder
from robomix.video.timeline import Timelines
from tests.fixtures import write_v21, write_v30
from tests.memory import ArrayDataset, mixture, source
from tests.tools.verify import wrong
from tests.video.odd_files import COUNT, HEIGHT, WIDTH, Odd, write_odd


@pytest.mark.parametrize("options", [{"g": "10", "bf": "0"}, {"g": "7", "bf": "2"}, {"g": "250", "bf": "0"}])
def test_the_frames_that_are_decoded_are_told_by_the_key_frames(tmp_path: Path, options: dict[str, str]) -> None:
    path = tmp_path / "video.mp4"
    write_odd(path, Odd(options={**options, "sc_threshold": "0", "flags": "+cgop"}))
    decoder, rng = Decoder(path, Timelines()), np.random.default_rng(0)
    out = np.zeros((COUNT, 3, HEIGHT, WIDTH), np.uint8)
    for size in (1, 1, 1, 2, 3, 5, 8, 20, COUNT):
        frames = rng.integers(0, COUNT, size)
        decoder.read_into(np.array([COUNT - 1]), out, np.arange(1))  # it stands at the end: elsewhere
        before = decoder.decoded
        decoder.read_into(frames, out, np.arange(size))
        assert decoder.decoded - before == decoder.timeline.decodes(frames)


def subject(root: Path, batch_size: int = 8, ranks: int = 1, history: int = 0, **block: Any) -> Subject:
    asked = MixtureConfig.from_dict({"datasets": [{"root": str(root)}], **block})
    indices = {"observation.images.top": range(-history, 1)} if history else {}
    made = make_mixture(asked, delta_indices=indices)
    return Subject(asked, made, make_schedule(made.sources, asked, seed=0, batch_size=batch_size), ranks=ranks)


def test_windows_touch_few_files_and_decode_less_of_long_groups(tmp_path: Path) -> None:
    write_v21(tmp_path / "set", lengths=[30] * 40, gop=30, stats=False)
    window, whole = mixing(subject(tmp_path / "set", batch_size=32, shuffle_window=2))
    assert (window.order, whole.order) == ("within windows of 2 episodes", "each source as a whole")
    assert window.files_per_batch is not None
    assert whole.files_per_batch is not None
    assert window.files_per_batch <= 4  # a file for each episode; a batch lies in two windows at most
    assert whole.files_per_batch > 15
    # of 30 frames that follow one key frame, up to 16 are wanted at once, or but one or two of 20 files
    assert window.decoded_per_frame is not None
    assert whole.decoded_per_frame is not None
    assert 1 < window.decoded_per_frame < 4 < 10 < whole.decoded_per_frame < 16
    assert window.episodes_per_batch <= 4
    assert whole.files_per_batch == pytest.approx(whole.episodes_per_batch, rel=0.05)


def test_a_rank_opens_the_files_of_its_slice_and_a_window_of_history_reads_more_frames(tmp_path: Path) -> None:
    write_v30(tmp_path / "set", lengths=[20] * 12, episodes_per_video_file=1, stats=False)
    (alone,) = mixing(subject(tmp_path / "set", batch_size=8))
    (shared,) = mixing(subject(tmp_path / "set", batch_size=8, ranks=4))
    assert alone.episodes_per_batch == shared.episodes_per_batch
    assert alone.files_per_batch is not None
    assert shared.files_per_batch is not None
    assert shared.files_per_batch <= 2 < alone.files_per_batch
    # two frames in a row, of which one is a key frame: two are decoded, or three, where the first is not
    (history,) = mixing(subject(tmp_path / "set", batch_size=8, history=1))
    assert history.decoded_per_frame is not None
    assert 1 <= history.decoded_per_frame < 1.5


def array_subject(lengths: list[int], batch_size: int, **block: Any) -> Subject:
    columns = {
        "action": np.zeros((sum(lengths), 1), dtype=np.float32),
        "observation.images.top": np.zeros((sum(lengths), 3, 8, 8), dtype=np.uint8),
    }
    asked = MixtureConfig.from_dict({"datasets": [{"root": "a", "name": "a"}], **block})
    made = mixture(source(ArrayDataset(columns, lengths), "a"))
    return Subject(asked, made, make_schedule(made.sources, asked, seed=0, batch_size=batch_size))


def test_frames_that_are_not_videos_are_read_one_by_one() -> None:
    (seen,) = mixing(array_subject([100] * 5, 8))
    assert seen.decoded_per_frame == 1.0


def test_batches_of_the_whole_shuffle_are_uncorrelated_and_those_of_a_window_alike() -> None:
    window, whole = mixing(array_subject([400] * 100, 64, shuffle_window=4))
    assert whole.autocorrelation == pytest.approx(0, abs=0.02)
    assert window.autocorrelation is not None
    # 16 of 64 samples of each of 4 episodes, 4 standard deviations of 3.5 above 0; a window lasts 25 batches
    assert 0.9 < window.autocorrelation < 1
    assert 4 <= window.episodes_per_batch < 4.5
    assert whole.episodes_per_batch > 40


def test_windows_that_end_with_the_batch_leave_nothing_to_the_next() -> None:
    """Two windows of two episodes of 8: each batch is a window, and what it had does not come again in the epoch."""
    window, _ = mixing(array_subject([8] * 4, 16, shuffle_window=2))
    assert window.episodes_per_batch == 2
    assert window.autocorrelation is not None
    assert window.autocorrelation < 0


def test_one_episode_alone_leaves_nothing_to_compare() -> None:
    (seen,) = mixing(array_subject([100], 8))
    assert seen.autocorrelation is None


def test_verify_reports_both_orders(tmp_path: Path) -> None:
    asked = wrong.config(shuffle_window=2)
    parts = [source(wrong.dataset(name), name) for name in ("a", "b")]
    columns = {"action": np.zeros((90, 1), dtype=np.float32)}
    parts[0] = source(ArrayDataset(columns, [30] * 3), "a")
    found = verify(wrong.subject(config=asked, mixture=mixture(*parts)), 64)
    assert found.is_ok
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert [order["order"] for order in record["orders"]] == ["within windows of 2 episodes", "each source as a whole"]
    assert set(record["orders"][0]) == set(OrderSeen.__dataclass_fields__)
    titles = [str(table.title) for table in tables(found)]
    assert "What the order costs, and how well it mixes" in titles
