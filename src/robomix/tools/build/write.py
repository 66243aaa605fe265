"""From the content of a dataset to a folder: all files, the metadata, a last check, and the folder in its place."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from robomix.errors import ConfigError
from robomix.formats.base import bounds_of
from robomix.formats.publish import Stage, resumable_folder
from robomix.remote.opening import open_bytes
from robomix.tools.build.blame import blaming_the_system
from robomix.tools.build.content import Content
from robomix.tools.build.engines.base import Engine, Writer
from robomix.tools.build.engines.processes import Processes
from robomix.tools.build.fingerprint import expect_unchanged, fingerprint, stamps
from robomix.tools.build.layout import DataFile, Files, VideoFile
from robomix.tools.build.markers import Marked, clear_unfinished
from robomix.tools.build.metadata import write_metadata
from robomix.tools.build.shards import WrittenFrames, WrittenRows, write_data_file, write_video_file


@dataclass(frozen=True)
class Job:
    """A dataset to be written."""

    content: Content
    files: Files
    """Which files it makes, as `layout.lay_out` says."""
    codec: str
    """Of frames that must be encoded."""


def write_dataset(
    content: Content,
    files: Files,
    target: Path,
    *,
    check_target: Callable[[Path], None],
    check_result: Callable[[Path], None] | None = None,
    codec: str = "libsvtav1",
    workers: int = 1,
    engine: Engine | None = None,
) -> None:
    """Writes `content` to the folder `target`, which appears complete or not at all.

    What an earlier call with the same arguments had finished when it was stopped is not written again, as long as the
    sources are the same.

    Args:
        content: what to write.
        files: which files it makes, as `layout.lay_out` says.
        target: the folder.
        check_target: raises ConfigError where `target` may not be written.
        check_result: raises where the finished folder is not as it should be; then nothing is published.
        codec: of frames that must be encoded.
        workers: processes that write files; the result is the same for any number.
        engine: what writes the files, instead of so many processes.

    Raises ConfigError where nothing may be written, or the system fails to (a full disk); FormatError for what is wrong
    with the sources, and where they change meanwhile.
    """
    jobs = {".": Job(content, files, codec)}
    write_together(jobs, target, check_target, check_result, engine or Processes(workers))


def write_together(
    jobs: Mapping[str, Job],
    target: Path,
    check_target: Callable[[Path], None],
    check_result: Callable[[Path], None] | None,
    engine: Engine,
) -> None:
    """As `write_dataset`, for several datasets, each at its path below `target`; all of them appear, or none.

    `check_result` is given the folder of each.
    """
    if empty := [name for name, job in jobs.items() if not job.content.episodes]:
        raise ConfigError(f"{(target / empty[0])} is not written: it would have no episodes.")
    with blaming_the_system(target):
        before = {name: stamps(job.content) for name, job in jobs.items()}
        with resumable_folder(target, check_target, fingerprint(dict(jobs), before)) as stage:
            for name, job in jobs.items():
                root = stage.root / name
                _write(job, Stage(root, stage.done / name), engine, f"Writing {(target / name).name}")
                expect_unchanged(job.content, before[name])
                if check_result is not None:
                    check_result(root)


def _write(job: Job, stage: Stage, engine: Engine, title: str) -> None:
    content, files, root = job.content, job.files, stage.root
    for folder in (root, stage.done):
        folder.mkdir(exist_ok=True)
    every: list[DataFile | VideoFile] = [*files.data, *files.videos]
    clear_unfinished(root, stage.done, [file.name for file in every])
    tasks = {text: i for i, text in enumerate(content.tasks)}
    first_rows = bounds_of(np.array([episode.length for episode in content.episodes]))[:-1]
    build = Marked(Build(content, root, tasks, first_rows, job.codec), root, stage.done)
    written = run(build, every, engine, title)
    further = {f"meta/{name}": path for name, path in content.meta_files.items()} | dict(content.other_files)
    for name, path in further.items():
        copy = root / name
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            with open_bytes(path) as source, open(copy, "wb") as target:
                shutil.copyfileobj(source, target)
    for name, text in content.meta_texts.items():
        copy = root / "meta" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text, encoding="utf-8")
    count = len(files.data)
    write_metadata(content, files, root, written[:count], written[count:], tasks)


@dataclass(frozen=True)
class Build:
    """What every file of a dataset is written from; goes to each process once."""

    content: Content
    root: Path
    tasks: Mapping[str, int]
    first_rows: np.ndarray
    codec: str

    def write(self, file: DataFile | VideoFile) -> WrittenRows | WrittenFrames:
        """Writes one file."""
        if isinstance(file, DataFile):
            return write_data_file(self.content, file, self.root, self.first_rows, self.tasks)
        return write_video_file(self.content, file, self.root, self.codec)


def run(writer: Writer, files: Sequence[Any], engine: Engine, title: str) -> list[Any]:
    """Has `files` written by an engine; what each has come to, in their order."""
    progress = partial(tqdm, total=len(files), desc=title, unit="file", delay=2, disable=None)
    return list(progress(engine.map(writer, files)))
