"""How large the pages of ten sources are, and how long a browser takes to open them.

    python -m benchmarks.report [--samples 200] [--keep FOLDER]

Ten sources of the recordings in ../shared/data (some of them parts of one dataset), in union: two cameras, up to 44
entries. Prints the size of the page of `inspect` and of `verify`, the seconds until it is made, and until headless
Chromium has loaded it, the fastest of three.
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from playwright.sync_api import sync_playwright

from robomix.report.inspect_page import inspect_page
from robomix.report.page import write_page
from robomix.report.verify_page import verify_page
from robomix.tools.inspect.inspection import ANY, inspect_datasets
from robomix.tools.training_file import TrainingFile
from robomix.tools.verify.run import verify
from robomix.tools.verify.subject import subject_of

REAL_DATA = Path(os.environ.get("ROBOMIX_REAL_DATA", "../shared/data"))
CR5, G1, GR1 = ("cr5_v21", "top"), ("g1_v30", "cam_high"), ("gr1_v20", "ego_view")
SOURCES = [(*CR5, [n]) for n in range(4)] + [(*G1, [n]) for n in range(3)] + [(*GR1, [n]) for n in range(3)]
"""(folder, camera, episodes)"""


def mixture(file: Path) -> None:
    block: list[dict[str, Any]] = []
    for number, (folder, camera, episodes) in enumerate(SOURCES):
        name = f"observation.images.{'main' if number % 2 else 'other'}"
        keep = {"type": "keep", "kwargs": {"keys": ["observation.state", "action", name]}}
        resize = {"type": "resize_images", "kwargs": {"height": 224, "width": 224}}
        entry = {"root": str(REAL_DATA / folder), "name": f"{folder}_{number}", "episodes": episodes}
        block.append(entry | {"feature_map": {f"observation.images.{camera}": name}, "transforms": [keep, resize]})
    file.write_text(yaml.safe_dump({"dataset": {"features": "union", "datasets": block}, "num_workers": 0}))


def loaded_s(file: Path) -> float:
    """Seconds from the request to the end of loading, as the browser measures them."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        times = []
        for _ in range(3):
            tab = browser.new_page()
            tab.goto(file.as_uri())
            times.append(tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000)
            tab.close()
        browser.close()
    return float(min(times))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        mixture(folder / "mix.yaml")
        subject = subject_of(TrainingFile.read(folder / "mix.yaml"), ranks=1, workers=0, batch_size=10, seed=0)
        found = verify(subject, arguments.samples)
        inspection = inspect_datasets([REAL_DATA], {ANY: 10.0})
        makers = {"verify": lambda: verify_page(found, subject), "inspect": lambda: inspect_page(inspection)}
        for name, make in makers.items():
            started = time.perf_counter()
            file = (folder / f"{name}.html").absolute()
            write_page(make(), file)
            took = time.perf_counter() - started
            size = file.stat().st_size / 1e6
            print(f"{name:8} {size:5.2f} MB, made in {took:5.1f} s, loaded in {loaded_s(file):.2f} s")


if __name__ == "__main__":
    main()
