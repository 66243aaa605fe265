"""Several simulated robots, one policy: demonstrations, co-training and evaluation, from nothing.

    python -m examples.three_robots
    python -m examples.three_robots --robots sawyer fetch --steps 1000
    python -m examples.three_robots --robots sawyer --cameras

Scripted experts record demonstrations as LeRobot v3.0 datasets, `robomix train` trains one ACT policy on all of them,
and `robomix eval` lets that policy drive each robot through episodes no demonstration has seen.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from examples.commands import robomix
from robomix.errors import RobomixError
from robomix.sim import open_robot, record

HERE = Path(__file__).parent
CAMERA_PREFIX = "observation.images."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code, which is that of the training where it did not finish."""
    arguments = _parse(argv)
    console, started = Console(), time.perf_counter()
    folder = arguments.output or Path("outputs/three_robots") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    mixture = _mixture(arguments, folder)

    console.rule("1. Demonstrations by scripted experts")
    for source in mixture["dataset"]["datasets"]:
        _record(source, arguments.demonstrations, console)

    console.rule("2. One policy for all of them")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mix.yaml").write_text(yaml.safe_dump(mixture, sort_keys=False))
    if code := robomix(console, "train", f"--config_path={folder / 'mix.yaml'}"):
        return code

    console.rule("3. The policy drives each robot, in episodes it has not seen")
    checkpoint = folder / "train" / "checkpoints" / "last"
    how_many = [f"--episodes={arguments.rollouts}", f"--videos={arguments.videos}"]
    device = [f"--device={mixture['policy']['device']}"]
    if code := robomix(console, "eval", str(checkpoint), *how_many, *device, f"--output_dir={folder}"):
        return code

    console.rule()
    console.print(f"checkpoint  {checkpoint}\nvideos      {folder / 'videos'}", highlight=False, soft_wrap=True)
    console.print(f"{(time.perf_counter() - started) / 60:.1f} minutes", highlight=False)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    names = [source["name"] for source in _load(cameras=False)["dataset"]["datasets"]]
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="examples.three_robots", description=__doc__, formatter_class=formatter)
    parser.add_argument("--robots", nargs="+", choices=names, default=names, metavar="ROBOT", help=", ".join(names))
    parser.add_argument(
        "--cameras",
        action="store_true",
        help="see through a camera instead of knowing where things are; slow without a GPU",
    )
    parser.add_argument("--demonstrations", type=int, default=50, help="of each robot (default: %(default)s)")
    parser.add_argument("--rollouts", type=int, default=50, help="of each robot (default: %(default)s)")
    parser.add_argument("--videos", type=int, default=2, help="rollouts to film, of each robot (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="training steps (default: as the mixture file says)")
    parser.add_argument("--seed", type=int, help="of the training (default: as the mixture file says)")
    parser.add_argument("--device", help="such as cuda (default: as the mixture file says)")
    parser.add_argument("--output", type=Path, help="folder of this run (default: outputs/three_robots/DATE_TIME)")
    return parser.parse_args(argv)


def _load(*, cameras: bool) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((HERE / ("mix_cameras.yaml" if cameras else "mix.yaml")).read_text())
    return loaded


def _mixture(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The mixture file of this run: the one that lies beside this module, with the robots and settings asked for."""
    mixture = _load(cameras=arguments.cameras)
    sources = mixture["dataset"]["datasets"]
    mixture["dataset"]["datasets"] = [source for source in sources if source["name"] in arguments.robots]
    mixture |= {key: value for key in ("steps", "seed") if (value := getattr(arguments, key)) is not None}
    mixture |= {"save_freq": mixture["steps"], "output_dir": str(folder / "train")}
    if arguments.device:
        mixture["policy"]["device"] = arguments.device
    return mixture


def _record(source: Mapping[str, Any], episodes: int, console: Console) -> None:
    started = time.perf_counter()
    with open_robot(source["name"], cameras=_cameras(source)) as robot:
        recording = record(robot, source["root"], episodes=episodes, overwrite=True)
        console.print(
            f"{robot.name}: {robot.task!r}, {len(robot.action_names)} actions, {robot.fps} Hz: "
            f"{recording.episodes} episodes of {recording.frames:,} frames in {source['root']} "
            f"({time.perf_counter() - started:.1f} s)",
            highlight=False,
            soft_wrap=True,
        )


def _cameras(source: Mapping[str, Any]) -> list[str]:
    """The robot's cameras the mixture uses."""
    keys = source.get("feature_map", {})
    return [key.removeprefix(CAMERA_PREFIX) for key in keys if key.startswith(CAMERA_PREFIX)]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RobomixError as error:
        sys.exit(f"error: {error}")
