"""What the pages are made of: shared axes, chosen frames, and caps that say what they leave out."""

import re

import numpy as np
import pytest

from robomix.formats.base import Episodes
from robomix.report.blocks import Block, Charts, Text
from robomix.report.distributions import Numbers, histograms
from robomix.report.recorded import course, telling_rows
from robomix.report.shares import share_bars
from robomix.report.strips import strip


def numbers(source: str, rows: np.ndarray, place: int = 0) -> Numbers:
    return Numbers(source, place, tuple(f"joint{d}" for d in range(rows.shape[1])), rows)


def drawn(blocks: list[Block]) -> list[Charts]:
    return [block for block in blocks if isinstance(block, Charts)]


def said(blocks: list[Block]) -> str:
    return " ".join(block.text for block in blocks if isinstance(block, Text))


def test_all_sources_share_one_axis() -> None:
    degrees, radians = np.array([[0.0], [180.0]]), np.array([[0.0], [np.pi]])
    (block,) = drawn(histograms("state", [numbers("a", radians), numbers("b", degrees, 1)]))
    (chart,) = block.charts
    assert re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg) == ["0", "180"]
    two, one = re.findall(r'class="area"[^>]* d="([^"]*)"', chart.svg)
    assert one.endswith("V6H312V92Z")  # the last bin is full
    assert two.startswith("M8 92V6")  # all in the first
    assert two.endswith("V92H312V92Z")
    assert chart.title == "0: joint0"
    assert [label for _, label in block.legend] == ["a", "b"]


def test_entries_that_never_change_are_named_and_not_drawn() -> None:
    rows = np.array([[1.0, 7.0], [2.0, 7.0]])
    blocks = histograms("state", [numbers("a", rows)])
    assert [chart.title for chart in drawn(blocks)[0].charts] == ["0: joint0"]
    assert "entries 1 (7)" in said(blocks)


def test_one_that_is_constant_among_others_is_told() -> None:
    blocks = histograms("state", [numbers("a", np.zeros((3, 1))), numbers("b", np.arange(3.0)[:, None], 1)])
    assert drawn(blocks)[0].charts[0].caption == "a: always 0"


def test_numbers_that_are_not_finite_are_counted() -> None:
    rows = np.array([[0.0], [np.nan], [np.inf], [1.0]])
    assert drawn(histograms("state", [numbers("a", rows)]))[0].charts[0].caption == "a: 2 not finite"


@pytest.mark.parametrize(("low", "high"), [(-1.7e308, 1.7e308), (1e16, 1e16 + 2), (0.0, 5e-324)])
def test_ranges_that_floats_hardly_hold_are_drawn(low: float, high: float) -> None:
    rows = np.array([[low], [high], [np.inf]])
    svg = drawn(histograms("state", [numbers("a", rows)]))[0].charts[0].svg
    assert re.findall(r"V6H", svg) == ["V6H", "V6H"]  # the first bin and the last
    assert "nan" not in strip("state", rows, ["joint"], 0.2, 1).svg


def test_many_sources_are_drawn_ten_at_a_time_and_what_is_left_out_is_said() -> None:
    rows = np.arange(200.0).reshape(2, 100)
    blocks = histograms("state", [numbers(f"s{i}", rows, i) for i in range(25)])
    assert [len(block.legend) for block in drawn(blocks)] == [10, 10, 5]
    assert {len(block.charts) for block in drawn(blocks)} == {32}
    assert "68 more entries are not drawn, from 32 on" in said(blocks)


def test_the_frames_shown_tell_an_episodes_course_and_the_rest_at_random() -> None:
    episodes = Episodes(ids=np.array([4, 7, 9]), starts=np.array([0, 0, 5, 100]))
    rows = telling_rows(episodes, 8)
    assert list(rows.values())[:3] == [
        "first: episode 7, frame 0",
        "middle: episode 7, frame 2",
        "last: episode 7, frame 4",
    ]
    assert len(rows) == 8
    assert telling_rows(episodes, 8) == rows
    for row, caption in list(rows.items())[3:]:
        episode, frame = re.findall(r"\d+", caption)
        assert (int(episode), int(frame)) == ((7, row) if row < 5 else (9, row - 5))


@pytest.mark.parametrize(("length", "places"), [(1, [0]), (2, [0]), (3, [0, 1, 2]), (10, [0, 4, 9])])
def test_short_episodes_have_each_frame_once(length: int, places: list[int]) -> None:
    episodes = Episodes(ids=np.array([0]), starts=np.array([0, length]))
    assert list(course(episodes, 0)) == places
    assert sorted(telling_rows(episodes, length)) == list(range(length))


def test_a_strip_says_how_many_entries_it_leaves_out() -> None:
    chart = strip("action", np.zeros((5, 30)), [str(d) for d in range(30)], 0.4, 24)
    assert chart.svg.count('class="line"') == 24
    assert chart.caption == "The last 6 of its 30 entries are not drawn."


def test_the_smallest_of_many_shares_are_one_part() -> None:
    shares = np.arange(1, 13) / 78
    bars = share_bars([f"s{i}" for i in range(12)], {"asked": shares, "drawn": shares[::-1]})
    for _, parts in bars.rows:
        assert sum(part.share for part in parts) == pytest.approx(1)
        assert [part.label for part in parts] == [*(f"s{i}" for i in range(2, 12)), "2 more"]
    assert bars.rows[0][1][-1].share == pytest.approx(3 / 78)
