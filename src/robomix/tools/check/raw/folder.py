"""A folder of an untrusted dataset: which files lie in it, and what of them can be read."""

import json
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from robomix.errors import FormatError
from robomix.files import damage, leads_out, read_json_lines
from robomix.formats.parquet import open_parquet
from robomix.remote.stand_in import far_file
from robomix.tools.check.finding import UnverifiableError


class RawFolder:
    """The files of a dataset, each read on its own; nothing behind a link that leads out is read."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def files(self) -> dict[str, int]:
        """Every regular file below the root with its size in bytes, hidden ones too.

        Links that lead out of the dataset are left out, but for those of the Hub's cache into its own `blobs`.
        """
        found = {}
        for folder, folders, names in os.walk(self.root):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_file() and not leads_out(path, self.root):
                    found[path.relative_to(self.root).as_posix()] = path.stat().st_size
        return found

    @cached_property
    def links(self) -> tuple[str, ...]:
        """Symbolic links below the root that lead out of the dataset, or nowhere; what is behind them is not read."""
        every = [Path(folder, name) for folder, folders, names in os.walk(self.root) for name in (*folders, *names)]
        links = [path for path in every if leads_out(path, self.root) or (path.is_symlink() and not path.exists())]
        return tuple(sorted(path.relative_to(self.root).as_posix() for path in links))

    def read(self, reader: Callable[[Path], Any], name: str) -> Any:
        """What `reader` makes of a file of the dataset."""
        if name not in self.files:
            raise UnverifiableError(f"{name} does not exist")
        try:
            return reader(self.root / name)
        except (FormatError, pa.ArrowException, OSError, ValueError) as error:
            raise UnverifiableError(str(error)) from error

    def problem_of(self, name: str) -> str | None:
        """Why the file `name` cannot be read as what its suffix says; None if it can."""
        path = self.root / name
        if name not in self.files:
            return "does not exist"
        if far_file(path) is not None:
            return None  # a video of object storage, which is looked into where videos are
        if problem := damage(path):
            return problem
        try:
            if name.endswith(".json"):
                json.loads(path.read_text(encoding="utf-8-sig"))
            elif name.endswith(".jsonl"):
                read_json_lines(path)
            elif name.endswith(".parquet"):
                with open_parquet(path):
                    pass
        except (FormatError, ValueError, OSError, RecursionError, pa.ArrowException) as error:
            return str(error)
        return None
