"""Ways in which files of real datasets are broken."""

import json
import struct
from pathlib import Path
from typing import Any

LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"


def truncate(file: Path, keep: float = 0.6) -> None:
    """Cut `file` so that the leading share `keep` of its bytes remains, as an interrupted download leaves it."""
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * keep)])


def drop_parquet_footer(file: Path) -> None:
    """Remove the footer of a parquet file, as a recorder leaves it that was killed before closing the file."""
    content = file.read_bytes()
    footer = struct.unpack("<I", content[-8:-4])[0]
    file.write_bytes(content[: len(content) - 8 - footer])


def replace_by_lfs_pointer(file: Path) -> None:
    """Put a Git LFS pointer text where the file was, as a clone without Git LFS leaves it."""
    file.write_text(LFS_POINTER.format(oid="41250ae0" * 8, size=file.stat().st_size))


def edit_info(dataset: Path, **changes: Any) -> None:
    """Overwrite keys of meta/info.json; the value `...` removes the key."""
    file = dataset / "meta" / "info.json"
    info = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in info.items() if value is not ...}, indent=4))
