"""Demonstrations as robomimic's users have them: one HDF5 file, written in some seconds by a scripted expert.

    python -m examples.hdf5_demonstrations

A simulated Fetch puts a block where it belongs, seen by one camera. The file is a source of every_format.yaml.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from robomix.errors import RobomixError
from robomix.sim import open_robot, record

OUTPUT = Path("outputs/demonstrations/fetch.hdf5")


def main(argv: Sequence[str] | None = None) -> int:
    """Record; the exit code."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="examples.hdf5_demonstrations", description=__doc__, formatter_class=formatter
    )
    parser.add_argument("--episodes", type=int, default=5, help="demonstrations to record (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the file (default: %(default)s)")
    arguments = parser.parse_args(argv)
    with open_robot("fetch", cameras=["external_camera_0"], size=96) as robot:
        recording = record(robot, arguments.output, episodes=arguments.episodes, overwrite=True)
    print(f"{recording.path}: {recording.episodes} demonstrations, {recording.frames} frames")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RobomixError as error:
        sys.exit(f"error: {error}")
