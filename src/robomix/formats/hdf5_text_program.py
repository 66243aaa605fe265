"""The program that `hdf5_text` runs: prints a text attribute of an HDF5 file as JSON. It imports no more than it needs.

python hdf5_text_program.py FILE GROUP NAME BYTES
"""

import contextlib
import json
import sys

import h5py


def main(path: str, group: str, name: str, limit: str) -> None:
    """`limit` is the memory in bytes it may take. Not everywhere can that be set; whoever runs it limits the time."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
    with h5py.File(path, "r", locking=False) as file:
        value = file[group].attrs[name]
    print(json.dumps(value if isinstance(value, str) else bytes(value).decode(errors="replace")))


if __name__ == "__main__":
    main(*sys.argv[1:])
