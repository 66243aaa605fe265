"""A report is one file that needs nothing else, shows what it is given, and runs nothing that datasets bring along."""

import re
from pathlib import Path

import numpy as np
import pytest

from robomix.errors import ConfigError
from robomix.report import charts
from robomix.report.blocks import (
    Bars,
    Cell,
    Chart,
    Charts,
    Code,
    Page,
    Portion,
    Section,
    Sheet,
    Table,
    Text,
    linked,
    number,
    text,
)
from robomix.report.page import render, write_page
from robomix.report.pictures import film, picture
from tests.report.browser import needs_chromium, opened, overflow

EVIL = "<script>document.title='taken'</script>"


def page() -> Page:
    rng = np.random.default_rng(0)
    series = [
        charts.Series(EVIL, charts.colour_of(0), np.array([1, 2, 3, 4])),
        charts.Series("b", charts.colour_of(1), np.array([4, 1, 0, 0])),
    ]
    line = charts.Series("joint", charts.colour_of(2), np.concatenate([rng.normal(size=5_000), [np.nan], [50.0]]))
    drawings = [
        Chart(charts.histogram(series, -1.0, 1.0), "shoulder"),
        Chart(charts.lanes([line], 12.5, "s"), "episode 3"),
    ]
    bars = Bars([("asked", [Portion(EVIL, 0.25, "red"), Portion("b", 0.75, "blue")])], [("red", EVIL)])
    table = Table(
        ("source", "frames"),
        [(text("b"), number(9)), (text("a"), number(100)), (text(EVIL), number(None))],
        ids=("row-b", "row-a", "row-evil"),
        caption="sources",
    )
    pixels = np.zeros((3, 480, 640), np.uint8)
    pixels[0] = 255
    blocks = [table, Charts(drawings, is_wide=True), bars, Sheet("camera top", [picture(pixels, "frame 0", "padded")])]
    return Page(EVIL, "2 things are wrong", "bad", [Section("all", "Everything", [*blocks, Code("a: 1"), Text(EVIL)])])


def test_a_page_needs_no_other_file_and_no_network() -> None:
    html = render(page())
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", html)
    assert not re.findall(r"url\((?!data:)|@import|https?://(?!www\.w3\.org)", html)


def test_text_of_a_dataset_is_shown_and_never_run() -> None:
    html = render(page())
    assert EVIL not in html
    assert html.count("&lt;script&gt;document.title=") == 9


def test_a_spike_in_a_long_line_is_drawn() -> None:
    values = np.zeros(100_000)
    values[77_777] = 5.0
    svg = charts.lanes([charts.Series("x", "red", values)], 1.0, "s")
    [path] = re.findall(r'class="line"[^>]* d="([^"]*)"', svg)
    heights = [float(y) for y in re.findall(r"[ML]\S+ (\S+?)(?=L|$)", path)]
    assert "0 to 5" in svg
    assert len(heights) <= 300
    assert heights.count(min(heights)) == 1 < heights.count(max(heights))


def test_a_line_has_gaps_where_numbers_are_missing() -> None:
    svg = charts.lanes([charts.Series("x", "red", np.array([0.0, np.nan, 1.0, 1.0]))], 1.0, "s")
    path = re.search(r'class="line"[^>]* d="([^"]*)"', svg)[1]  # type: ignore[index]
    assert path == "M8 35M210.7 15L312 15"


def test_a_source_is_drawn_as_high_however_many_frames_it_has() -> None:
    few, many = np.array([1, 2]), np.array([1_000, 2_000])
    svg = charts.histogram([charts.Series("few", "red", few), charts.Series("many", "blue", many)], 0, 1)
    one, two = re.findall(r'class="area"[^>]* d="([^"]*)"', svg)
    assert one == two == "M8 92V49H160V6H312V92Z"


def test_a_bar_says_the_share_of_each_of_its_parts() -> None:
    html = render(page())
    assert 'aria-label="asked: &lt;script&gt;' in html
    assert "b 75.0%" in html
    assert "flex-grow:0.250000" in html


def test_a_film_holds_its_frames_side_by_side() -> None:
    made = film(np.zeros((3, 3, 480, 640), np.uint8), "episode 3")
    assert (made.width, made.height, made.is_film) == (480, 120, True)


def test_headings_of_numbers_are_aligned_as_numbers() -> None:
    table = Table(("a", "b"), [(text("x"), number(1)), (number(2), number(None))])
    assert table.numbers == [False, True]


def test_links_lead_to_parts_of_the_page() -> None:
    cell = Cell("episodes", links=[("3", "episode-3"), ("4", "")])
    made = Page("t", "v", "good", [Section("s", "S", [Table(("where",), [(cell,), (linked("E04", "defect"),)])])])
    html = render(made)
    assert 'episodes <a href="#episode-3">3</a>, 4' in html
    assert '<a href="#defect">E04</a>' in html


def test_a_name_that_is_no_unicode_can_be_written(tmp_path: Path) -> None:
    write_page(Page("\udcff name", "v", "good", []), tmp_path / "report.html")
    assert "\\udcff name" in (tmp_path / "report.html").read_text()


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        write_page(page(), tmp_path)


@needs_chromium
@pytest.mark.parametrize(("width", "dark"), [(360, False), (820, True), (1440, False)])
def test_the_page_fits_its_window_and_the_console_stays_silent(tmp_path: Path, width: int, dark: bool) -> None:
    write_page(page(), tmp_path / "report.html")
    with opened(tmp_path / "report.html", width=width, dark=dark) as (tab, said):
        assert overflow(tab) == 0
        assert tab.title() == EVIL
        assert tab.evaluate(
            "[...document.images].every(i => { i.loading = 'eager'; return i.src.startsWith('data:') })"
        )
        assert said == []


@needs_chromium
def test_tables_are_sorted_by_number_with_the_keyboard(tmp_path: Path) -> None:
    write_page(page(), tmp_path / "report.html")
    with opened(tmp_path / "report.html") as (tab, _):
        frames = tab.get_by_role("button", name="frames")
        frames.focus()
        tab.keyboard.press("Enter")
        first = "() => [...document.querySelectorAll('tbody tr')].map(r => r.id)"
        assert tab.evaluate(first) == ["row-evil", "row-b", "row-a"]
        tab.keyboard.press("Enter")
        assert tab.evaluate(first) == ["row-a", "row-b", "row-evil"]
        assert tab.locator("th").nth(1).get_attribute("aria-sort") == "descending"
