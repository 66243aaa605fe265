"""The machinery of the corpus of defects: code that damages a clean dataset in one way, and what `check` must say.

Each family has a module here, `tests/defects/<family>.py`, whose functions are registered by `injection` in a list
`INJECTIONS`. The matrix tests write a clean dataset, damage it, and look at what is found.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from robomix.tools.check.finding import Depth, Finding, Verdict
from robomix.tools.check.run import check
from tests.fixtures import write_v20, write_v21, write_v30
from tests.hdf5_files import write_robomimic

LEROBOT = ("v2.0", "v2.1", "v3.0")
V2 = ("v2.0", "v2.1")
WRITERS: Mapping[str, Callable[..., Any]] = {"v2.0": write_v20, "v2.1": write_v21, "v3.0": write_v30}
LOUD = (Verdict.FAIL, Verdict.WARN)


@dataclass(frozen=True)
class Expected:
    """What the finding of an injected defect must name."""

    key: str | None = None
    """The feature; None: not looked at."""
    episodes: tuple[int, ...] | None = None
    """None: not looked at."""


@dataclass(frozen=True)
class Injection:
    """One way to damage a clean dataset."""

    id: str
    """Of the defect it makes."""
    name: str
    """What is done, for the test's name."""
    versions: tuple[str, ...]
    """Of the formats it applies to: v2.0, v2.1, v3.0, hdf5."""
    inject: Callable[[Path], Expected]
    """Damages the dataset in the folder (hdf5: the file)."""
    companions: tuple[str, ...] = ()
    """Ids of other defects that come with it unavoidably."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    """How the clean dataset is written: fields of `tests.truth.Spec`."""
    depth: Depth = Depth.FILES


def injection(
    into: list[Injection], id: str, versions: tuple[str, ...] = LEROBOT, **more: Any
) -> Callable[[Callable[[Path], Expected | None]], Callable[[Path], Expected | None]]:
    """Registers a function that damages a folder as an Injection in the list `into`, under the function's name."""

    def register(function: Callable[[Path], Expected | None]) -> Callable[[Path], Expected | None]:
        name = function.__name__.replace("_", " ")
        into.append(Injection(id, name, versions, lambda folder: function(folder) or Expected(), **more))
        return function

    return register


def cases(injections: list[Injection]) -> list[tuple[Injection, str]]:
    """Each injection with each version it applies to; the ids of the tests are `case_name` of them."""
    return [(one, version) for one in injections for version in one.versions]


def case_name(value: Any) -> str:
    return f"{value.id} {value.name}" if isinstance(value, Injection) else str(value)


def write_clean(path: Path, version: str, spec: Mapping[str, Any]) -> Path:
    """A dataset without any defect; the path to give to `check`."""
    if version == "hdf5":
        path = path / "demo.hdf5"
        write_robomimic(path, **spec)
    else:
        WRITERS[version](path, **spec)
    return path


def assert_found(one: Injection, version: str, path: Path) -> list[Finding]:
    """The findings after the injection: its defect, where it was put, and nothing else that is loud."""
    path = write_clean(path, version, one.spec)
    before = check(path, one.depth).findings
    assert not [finding for finding in before if finding.level in LOUD], f"not clean before: {before}"
    expected = one.inject(path)
    findings = list(check(path, one.depth).findings)
    mine = [finding for finding in findings if finding.defect.id == one.id and finding.level != Verdict.UNVERIFIED]
    assert mine, f"{one.id} not found, only {[(f.defect.id, f.level, f.found) for f in findings]}"
    if expected.key is not None:
        assert expected.key in {finding.key for finding in mine}
    if expected.episodes is not None:
        assert set(expected.episodes) == {episode for finding in mine for episode in finding.episodes}
    others = [f for f in findings if f.level in LOUD and f.defect.id not in (one.id, *one.companions)]
    assert not others, [(f.defect.id, f.level, f.found) for f in others]
    return mine


def edit_table(file: Path, edit: Callable[[dict[str, list[Any]]], None]) -> None:
    """Rewrite a Parquet file after `edit` changed its columns in place; types and schema metadata are kept."""
    table = pq.read_table(file)
    groups = [pq.ParquetFile(file).metadata.row_group(i).num_rows for i in range(pq.ParquetFile(file).num_row_groups)]
    columns = {name: table[name].to_pylist() for name in table.column_names}
    edit(columns)
    arrays = [pa.array(columns[name], table.schema.field(name).type) for name in table.column_names]
    edited = pa.table(arrays, schema=table.schema)
    with pq.ParquetWriter(file, table.schema) as writer:
        begin = 0
        for rows in groups if sum(groups) == len(edited) else [len(edited)]:
            writer.write_table(edited.slice(begin, rows))
            begin += rows


def edit_json(file: Path, edit: Callable[[Any], None]) -> None:
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content, indent=4))


def edit_lines(file: Path, edit: Callable[[list[dict[str, Any]]], None]) -> None:
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    edit(rows)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def data_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("data/**/*.parquet"))


def video_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("videos/**/*.mp4"))


def episode_files(folder: Path) -> list[Path]:
    """v3.0: the Parquet files that list the episodes."""
    return sorted(folder.glob("meta/episodes/**/*.parquet"))


def edit_list(folder: Path, edit: Callable[[list[dict[str, Any]]], None]) -> None:
    """Edit the list of episodes in place: v2.x's lines, or the rows of v3.0's first file."""
    if (lines := folder / "meta/episodes.jsonl").exists():
        edit_lines(lines, edit)
        return
    file = episode_files(folder)[0]
    table = pq.read_table(file)
    rows = table.to_pylist()
    edit(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), file)


def rows_of(folder: Path, episode: int, starts: Sequence[int] = (0, 5, 12, 15)) -> tuple[Path, slice]:
    """The file and the rows in it of an episode of a clean dataset; `starts` are the bounds of its episodes."""
    files = data_files(folder)
    if len(files) == 1:
        return files[0], slice(starts[episode], starts[episode + 1])
    return files[episode], slice(0, starts[episode + 1] - starts[episode])
