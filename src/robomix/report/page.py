"""From a page as plain data to one HTML file."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from robomix.errors import ConfigError
from robomix.formats.publish import staged_file
from robomix.report.blocks import Page


def write_page(page: Page, path: Path) -> None:
    """Writes `page` to `path`, replacing a file that is there. Raises ConfigError where that cannot be."""
    with staged_file(path, check_target) as staging:
        staging.write_text(render(page), encoding="utf-8", errors="backslashreplace")  # names may be no Unicode


def render(page: Page) -> str:
    """The whole HTML document."""
    templates = files("robomix.report") / "templates"
    style, script = ((templates / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    return _template().render(page=page, style=style, script=script)


@cache
def _template() -> Template:
    source = (files("robomix.report") / "templates" / "page.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
        source
    )


def check_target(path: Path) -> None:
    """Raises ConfigError where no page can be put, before there is one."""
    if path.is_dir():
        raise ConfigError(f"--html: {path} is a folder, expected a file such as report.html.")
