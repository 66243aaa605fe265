"""What a training draws from each source, by hand."""

import pytest

from robomix.errors import ConfigError
from robomix.tools.plan.disk import bytes_below
from robomix.tools.plan.seen import sources_seen
from robomix.tools.plan.table import duration, size
from tests.tools.verify import wrong


def test_samples_epochs_and_hours_of_each_source() -> None:
    sources = wrong.the_mixture().sources  # 50 and 40 frames at 10 fps, weights 2 and 1
    a, b = sources_seen(sources, wrong.config(), steps=90, batch_size=100)
    assert (a.samples, b.samples) == (6000, 3000)
    assert (a.share, b.share) == (2 / 3, 1 / 3)
    assert (a.epochs, b.epochs) == (120, 75)
    assert a.seen_hours == pytest.approx(6000 / 10 / 3600)
    assert a.recorded_hours == pytest.approx(50 / 10 / 3600)


def test_another_alpha_draws_by_size() -> None:
    sources = wrong.the_mixture().sources
    a, b = sources_seen(sources, wrong.config(), steps=100, batch_size=140, alpha=1)
    assert (a.samples, b.samples) == pytest.approx((10_000, 4_000), abs=1)  # 2 * 50 to 1 * 40
    with pytest.raises(ConfigError, match=r"alpha: found -1\.0"):
        sources_seen(sources, wrong.config(), steps=1, batch_size=1, alpha=-1.0)


def test_weights_that_move_are_summed_over_the_steps() -> None:
    moving = wrong.config(weight_schedule=[{"step": 50, "weights": {"a": 0.0}}])
    a, b = sources_seen(wrong.the_mixture().sources, moving, steps=100, batch_size=6)
    assert (a.samples, b.samples) == (200, 400)


def test_numbers_are_told_in_words_people_use() -> None:
    assert [size(n) for n in (0, 1023, 1024, 800 * 2**20, 3 * 2**30)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "800.0 MiB",
        "3.0 GiB",
    ]
    assert [duration(s) for s in (12, 300, 12_000, 183_600)] == ["12 s", "5 min", "3 h 20 min", "2 d 3 h"]


def test_bytes_of_a_folder_are_those_of_all_its_files(tmp_path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "one").write_bytes(b"12345")
    (tmp_path / "below" / "two").write_bytes(b"123")
    assert (bytes_below(tmp_path), bytes_below(tmp_path / "one")) == (8, 5)
