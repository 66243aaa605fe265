"""The pages of inspect, verify and check: in a browser, with texts that are not to be trusted, small, and true."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from robomix.cli.main import main
from robomix.mixture.loader import ScheduledBatches
from robomix.report.samples import first_draws
from robomix.tools.training_file import TrainingFile
from robomix.tools.verify.subject import Subject, subject_of
from tests.fixtures import edit_info, truncate, write_v21, write_v30
from tests.report.browser import needs_chromium, opened, overflow

EVIL = "<script>document.title='taken'</script>"
TOP, WRIST = "observation.images.top", "observation.images.wrist"
WINDOWS = [(360, False), (360, True), (820, False), (1440, True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets, the second with another camera, wider vectors, a defect and an evil task; and a mixture of them."""
    folder = tmp_path_factory.mktemp("pages")
    write_v30(folder / "one", lengths=(12, 9))
    spec = {"lengths": (6, 8), "state_dim": 5, "seed": 1, "tasks": (EVIL, EVIL), "robot_type": EVIL, "scale": 9.0}
    write_v21(folder / "two", cameras={WRIST: (32, 48)}, wall_clock=True, **spec)
    sources = [{"root": str(folder / name)} for name in ("one", "two")]
    text = yaml.safe_dump({"dataset": {"features": "union", "datasets": sources}, "batch_size": 5, "num_workers": 0})
    (folder / "mix.yaml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, Path]:
    """A page of each command."""
    one, two = str(folder / "one"), str(folder / "two")
    words = {"inspect": [one, two], "verify": [str(folder / "mix.yaml"), "30"], "check": [one, two]}
    for verb, rest in words.items():
        assert main([verb, *rest, f"--html={folder / verb}.html"]) in (0, 1)
    return {verb: folder / f"{verb}.html" for verb in words}


@needs_chromium
@pytest.mark.parametrize(("width", "dark"), WINDOWS)
@pytest.mark.parametrize("verb", ["inspect", "verify", "check"])
def test_a_page_fits_its_window_and_the_console_stays_silent(
    pages: dict[str, Path], verb: str, width: int, dark: bool
) -> None:
    with opened(pages[verb], width=width, dark=dark) as (tab, said):
        tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert overflow(tab) == 0
        assert said == []
        assert tab.title() != "taken"
        broken = (
            "[...document.images].filter(i => { i.loading = 'eager'; return i.complete && !i.naturalWidth }).length"
        )
        assert tab.evaluate(broken) == 0


@pytest.mark.parametrize("verb", ["inspect", "verify", "check"])
def test_each_link_leads_to_one_part_of_the_page(pages: dict[str, Path], verb: str) -> None:
    html = pages[verb].read_text()
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', html)) <= {*ids, "main"}
    assert EVIL not in html
    assert html.count("<script") == 1


@needs_chromium
def test_a_finding_leads_to_its_defect_and_its_episodes(pages: dict[str, Path]) -> None:
    with opened(pages["check"]) as (tab, _):
        row = tab.locator("#dataset-1 tbody tr").filter(has_text="C01").first
        row.get_by_role("link", name="C01").click()
        assert tab.evaluate("location.hash") == "#defect-C01"
        row.get_by_role("link", name="1", exact=True).click()
        assert tab.locator(tab.evaluate("location.hash")).locator("img").count() == 1
        assert tab.locator("#dataset-1 pre").first.inner_text().startswith("robomix repair ")


def test_an_inspection_shows_every_dataset(pages: dict[str, Path]) -> None:
    html = pages["inspect"].read_text()
    for text in ("2 datasets, 4 episodes, 35 frames", f"{TOP}, 32 x 48", f"{WRIST}, 32 x 48", "Suggested mixture"):
        assert text in html
    assert "first: episode 0, frame 0" in html
    assert "last: episode 0, frame 11" in html
    assert "features: union" in html


def test_a_verification_shows_what_a_source_lacks_as_padding(pages: dict[str, Path]) -> None:
    html = pages["verify"].read_text()
    one, two = html.split('<section id="source-0"')[1].split('<section id="source-1"')
    for part, own, lacking in ((one, TOP, WRIST), (two, WRIST, TOP)):
        assert f"{own}, 32 x 48</h3>" in part
        assert f"{lacking}, 32 x 48, which this source lacks: zeros, and masked</h3>" in part
        assert part.count('class="badge">padding') == 1
    assert "Nothing is off" in html


def test_what_is_off_is_the_first_thing_a_reader_sees(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_one_source_alone(*args: object, **settings: object) -> Subject:
        made = subject_of(*args, **settings)  # type: ignore[arg-type]
        made.schedule._table[:] = 0
        return made

    monkeypatch.setattr("robomix.tools.verify.subject.subject_of", of_one_source_alone)
    assert main(["verify", str(folder / "mix.yaml"), "30", f"--html={folder / 'off.html'}"]) == 1
    verdict = re.search(r'<p class="verdict bad">([^<]*)<', (folder / "off.html").read_text())
    assert verdict is not None
    assert "checks are off: shares, exact shares" in verdict[1]


def test_the_samples_shown_are_the_first_that_are_drawn(folder: Path) -> None:
    file = TrainingFile.read(folder / "mix.yaml")
    subject = subject_of(file, ranks=1, workers=0, batch_size=None, seed=3)
    shown = first_draws(subject, 4, 6)
    requests = list(ScheduledBatches(subject.mixture, subject.schedule, stop=6))
    index = np.concatenate([request.index for request in requests])
    draw = np.concatenate([request.draw for request in requests])
    assert shown[0].index.tolist() == index[index < 21][:4].tolist()
    assert shown[1].index.tolist() == index[index >= 21][:4].tolist()
    assert shown[1].draw.tolist() == draw[index >= 21][:4].tolist()


def test_a_dataset_that_cannot_be_read_is_told(folder: Path) -> None:
    shutil.copytree(folder / "one", folder / "bad")
    edit_info(folder / "bad", codebase_version="v9")
    for verb in ("inspect", "check"):
        assert main([verb, str(folder / "one"), str(folder / "bad"), f"--html={folder / 'bad.html'}"]) == 1
        assert '<p class="verdict bad">' in (folder / "bad.html").read_text()


def test_a_camera_that_cannot_be_decoded_is_told_in_its_place(folder: Path) -> None:
    shutil.copytree(folder / "two", folder / "cut")
    for video in (folder / "cut").rglob("*.mp4"):
        truncate(video)
    assert main(["inspect", str(folder / "cut"), f"--html={folder / 'cut.html'}"]) == 0
    assert f'<p class="bad">{WRIST} cannot be read: ' in (folder / "cut.html").read_text()


def test_a_place_for_no_page_is_refused_before_anything_is_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb, rest in (("inspect", ["nowhere"]), ("verify", [str(folder / "none.yaml")]), ("check", [str(folder)])):
        assert main([verb, *rest, f"--html={folder}"]) == 2
        assert "is a folder, expected a file such as report.html" in capsys.readouterr().err


def test_fifty_datasets_of_many_entries_make_a_small_page(folder: Path, tmp_path: Path) -> None:
    write_v30(tmp_path / "all/set00", state_dim=100, action_dim=60, lengths=(20, 30), storage="image")
    for number in range(1, 50):
        shutil.copytree(tmp_path / "all/set00", tmp_path / f"all/set{number:02}")
    assert main(["inspect", str(tmp_path / "all"), f"--html={tmp_path / 'report.html'}"]) == 0
    html = (tmp_path / "report.html").read_text()
    assert len(html) < 8e6
    assert "more entries are not drawn" in html
    assert "40 more" in html
    assert html.count("<nav") == 1
    assert "set49" not in html.split("</nav>")[0]


@needs_chromium
def test_the_pages_of_real_recordings_are_small_and_fit(real_data: Path, tmp_path: Path) -> None:
    names = ("cr5_v21", "g1_v30", "gr1_v20", "franka_v21", "bridge_rlds", "pusht_zarr")
    words = [str(real_data / name) for name in names]
    assert main(["inspect", *words, f"--html={tmp_path / 'report.html'}"]) == 0
    assert (tmp_path / "report.html").stat().st_size < 8e6
    for width in (360, 820, 1440):
        with opened(tmp_path / "report.html", width=width) as (tab, said):
            assert (overflow(tab), said) == (0, [])
