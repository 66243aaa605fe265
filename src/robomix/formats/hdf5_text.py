"""A text attached to a group of an HDF5 file, read in a process of its own.

Texts of varying length are the one thing that must be read by the HDF5 library and can be damaged so that it allocates
gigabytes or never returns. Where they lie in the file is not told, so they cannot be checked first; a process can be
given limits and ended.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from robomix.errors import FormatError
from robomix.formats.hdf5 import Faults

_PROGRAM = str(Path(__file__).with_name("hdf5_text_program.py"))
_SECONDS, _BYTES = 20, 3 << 29


def attribute(group: h5py.Group, name: str, path: Path) -> Any:
    """A single number or text attached to a group; None where there is none. Raises FormatError for a damaged one."""
    with Faults(path, f"attribute {name!r} of {group.name}"):
        if name not in group.attrs:
            return None
        opened = h5py.h5a.open(group.id, name.encode())
        if opened.get_space().get_simple_extent_npoints() != 1 or opened.shape not in ((), (1,)):
            return None
        kind = opened.get_type()
        if isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str():
            return _read_apart(path, str(group.name), name)
        if opened.dtype.kind not in "biufS":
            return None
        value = np.asarray(group.attrs[name]).reshape(()).item()
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _read_apart(path: Path, group: str, name: str) -> str:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, _PROGRAM, str(path), group, name, str(_BYTES)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, env=environment, check=False)
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        answer = None
    if not isinstance(answer, str):
        raise FormatError(
            f"{path}, attribute {name!r} of {group}, cannot be read: its text is damaged. Copy or export the file "
            "again."
        )
    return answer
