"""What a page is made of, as plain data: sections of tables, charts and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    """As it is shown."""
    sort: float | str | None = None
    """What its column is sorted by; default: the text."""
    tone: str = ""
    """good, bad, warn, note: how it is coloured, the text must say it too; code: what one types."""
    links: Sequence[tuple[str, str]] = ()
    """(text, identifier of a part of this page, or nothing), after the text, with commas between."""
    is_number: bool = False
    """Aligned to the right."""
    share: float | None = None
    """From 0 to 1: drawn as a bar below the text."""


@dataclass(frozen=True)
class Table:
    """Rows that can be sorted by each column."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    ids: Sequence[str] = ()
    """Identifiers of the rows, for links; empty or one for each row."""
    is_stacked: bool = False
    """Has sentences: on a phone its cells are put below each other."""
    is_folded: bool = False
    """Shown as its caption, which opens it."""
    kind: str = "table"

    @property
    def numbers(self) -> list[bool]:
        """For each column, whether all of it are numbers: its heading is aligned as they are."""
        return [bool(self.rows) and all(row[c].is_number for row in self.rows) for c in range(len(self.columns))]


@dataclass(frozen=True)
class Portion:
    """A part of a bar."""

    label: str
    share: float
    """Of the bar, from 0 to 1."""
    colour: str


@dataclass(frozen=True)
class Bars:
    """Wholes cut into their parts, one below the other, so that the parts can be compared."""

    rows: Sequence[tuple[str, Sequence[Portion]]]
    """(name, parts whose shares come to one)."""
    legend: Sequence[tuple[str, str]] = ()
    """(colour, label) of the parts."""
    caption: str = ""
    kind: str = "bars"


@dataclass(frozen=True)
class Chart:
    """A drawing."""

    svg: Markup
    """Made by `charts`."""
    title: str
    caption: str = ""


@dataclass(frozen=True)
class Charts:
    """Drawings side by side, as many as the window is wide."""

    charts: Sequence[Chart]
    legend: Sequence[tuple[str, str]] = ()
    """(colour, label) of what is drawn in all of them."""
    caption: str = ""
    is_wide: bool = False
    """Fewer of them in a row."""
    kind: str = "charts"


@dataclass(frozen=True)
class Picture:
    """One picture of a contact sheet."""

    uri: str
    """`data:` and its bytes, made by `pictures`."""
    caption: str
    width: int
    height: int
    badge: str = ""
    """Such as padded; shown on it."""
    is_film: bool = False
    """Several frames side by side."""
    id: str = ""


@dataclass(frozen=True)
class Sheet:
    """Pictures side by side."""

    title: str
    pictures: Sequence[Picture]
    id: str = ""
    kind: str = "sheet"


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    tone: str = ""
    id: str = ""
    kind: str = "text"


@dataclass(frozen=True)
class Code:
    """A file or command, to be copied."""

    text: str
    kind: str = "code"


@dataclass(frozen=True)
class Heading:
    """Of what follows, below that of the section."""

    text: str
    id: str = ""
    kind: str = "heading"


Block = Table | Bars | Charts | Sheet | Text | Code | Heading


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading, which the list of contents names."""

    id: str
    title: str
    blocks: Sequence[Block]
    note: str = ""
    """A sentence that says how to read it."""
    is_listed: bool = True
    """Whether the list of contents names it."""


@dataclass(frozen=True)
class Page:
    """Everything on a page."""

    title: str
    verdict: str
    """The one line a reader in a hurry sees."""
    tone: str
    """good, warn or bad: of the verdict."""
    sections: Sequence[Section]
    made: str = ""
    """With which command and version, and of what."""


def text(value: object, **more: Any) -> Cell:
    """A cell of text."""
    return Cell(str(value), **more)


def number(value: float | None, form: str = ",.6g", **more: Any) -> Cell:
    """A number as `form` writes it; a hyphen where there is none."""
    if value is None:
        return Cell("-", sort=float("-inf"), is_number=True, **more)
    return Cell(format(value, form), sort=float(value), is_number=True, **more)


def linked(value: object, id: str, **more: Any) -> Cell:
    """A cell that is a link to the part `id` of the page."""
    return Cell("", sort=str(value), links=((str(value), id),), **more)
