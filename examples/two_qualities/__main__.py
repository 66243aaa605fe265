"""Demonstrations of two qualities in one training: how much of each is best?

    python -m examples.two_qualities
    python -m examples.two_qualities --seeds 0 1 2 --noise 0.5
    python -m examples.two_qualities --record_only

A scripted expert records some demonstrations, and then many with a trembling hand, as two robomimic HDF5 files.
`robomix train` clones both with three weightings: equal shares, the experts only, and shares in proportion to size.
`robomix eval` then lets each policy act in episodes that no demonstration has seen.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from examples.commands import robomix
from robomix.errors import RobomixError
from robomix.sim import open_robot, record

MIXTURE = Path(__file__).parent / "mix.yaml"
ROBOT = "fetch"
NOISY_SEED = 10_000
"""Where the noisy demonstrations start counting seeds: other episodes than those of the experts."""
ATTEMPTS = 20
"""For each demonstration; with the noise below, one in eight succeeds and is kept."""
WEIGHTINGS: Mapping[str, Sequence[str]] = {
    "1:1": (),
    "experts only": ("--dataset.datasets.1.weight=0",),
    "by size": ("--dataset.alpha=1",),
}
"""What is added to the command line over mix.yaml."""


@dataclass(frozen=True)
class Outcome:
    """One weighting, evaluated."""

    weighting: str
    share_of_experts: float
    solved: list[int]
    """For each training seed, of `rollouts` episodes."""
    rollouts: int

    @property
    def success(self) -> float:
        return sum(self.solved) / (len(self.solved) * self.rollouts)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study; the exit code, which is that of a training that did not finish."""
    arguments = _parse(argv)
    console, started = Console(), time.perf_counter()
    folder = arguments.output or Path("outputs/two_qualities") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    experts, noisy = (Path(source["root"]) for source in _mixture()["dataset"]["datasets"])

    console.rule("1. Demonstrations of two qualities")
    frames = [
        _record(experts, arguments.experts, 0.0, 0, console),
        _record(noisy, arguments.noisy, arguments.noise, NOISY_SEED, console),
    ]
    if arguments.record_only:
        return 0

    console.rule("2. Trainings that differ in the weights")
    outcomes = []
    for weighting in arguments.weightings:
        solved = []
        for seed in arguments.seeds:
            output = folder / weighting.replace(" ", "_").replace(":", "_to_") / f"seed_{seed}"
            flags = [*WEIGHTINGS[weighting], f"--seed={seed}", *_steps(arguments)]
            if code := robomix(console, "train", f"--config_path={MIXTURE}", f"--output_dir={output}", *flags):
                return code
            how_many = [f"--episodes={arguments.rollouts}", "--videos=0"]
            if code := robomix(console, "eval", str(output), *how_many, f"--output_dir={output / 'eval'}"):
                return code
            result = json.loads((output / "eval" / "eval.json").read_text())["experts"]
            solved.append(round(result["success"] * result["episodes"]))
        outcomes.append(Outcome(weighting, _share(weighting, frames), solved, arguments.rollouts))

    console.rule()
    console.print(_table(outcomes))
    results = folder / "results.json"
    results.write_text(json.dumps(_results(outcomes, arguments, frames), indent=2) + "\n")
    console.print(f"results  {results}\n{(time.perf_counter() - started) / 60:.1f} minutes", highlight=False)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="examples.two_qualities", description=__doc__, formatter_class=formatter)
    parser.add_argument("--experts", type=int, default=20, help="demonstrations without noise (default: %(default)s)")
    parser.add_argument("--noisy", type=int, default=100, help="demonstrations with noise (default: %(default)s)")
    parser.add_argument(
        "--noise",
        type=float,
        default=0.7,
        help="its standard deviation; actions go from -1 to 1 (default: %(default)s)",
    )
    parser.add_argument("--weightings", nargs="+", choices=WEIGHTINGS, default=list(WEIGHTINGS), help="default: all")
    parser.add_argument("--record_only", action="store_true", help="stop after the demonstrations")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of the trainings (default: 0 1)")
    parser.add_argument("--steps", type=int, help="training steps (default: as the mixture file says)")
    parser.add_argument("--rollouts", type=int, default=50, help="episodes to evaluate in (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="folder of this run (default: outputs/two_qualities/DATE_TIME)")
    return parser.parse_args(argv)


def _mixture() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(MIXTURE.read_text())
    return loaded


def _record(path: Path, episodes: int, noise: float, seed: int, console: Console) -> int:
    """Record `episodes`; how many frames they have."""
    with open_robot(ROBOT) as robot:
        recording = record(
            robot, path, episodes=episodes, noise=noise, attempts_per_episode=ATTEMPTS, seed=seed, overwrite=True
        )
    console.print(
        f"{path}: {recording.episodes} episodes of {recording.frames:,} frames with noise {noise:g}; "
        f"{recording.attempts} attempts",
        highlight=False,
        soft_wrap=True,
    )
    return recording.frames


def _steps(arguments: argparse.Namespace) -> list[str]:
    return [f"--steps={arguments.steps}", f"--save_freq={arguments.steps}"] if arguments.steps else []


def _share(weighting: str, frames: Sequence[int]) -> float:
    """The experts' part of the training samples."""
    return {"1:1": 0.5, "experts only": 1.0, "by size": frames[0] / sum(frames)}[weighting]


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(title="Which demonstrations to learn from", title_justify="left")
    table.add_column("weighting")
    for header in ("share of experts", "solved, by seed", "success"):
        table.add_column(header, justify="right")
    for outcome in outcomes:
        solved = ", ".join(f"{count}/{outcome.rollouts}" for count in outcome.solved)
        table.add_row(outcome.weighting, f"{outcome.share_of_experts:.0%}", solved, f"{outcome.success:.0%}")
    return table


def _results(outcomes: Sequence[Outcome], arguments: argparse.Namespace, frames: Sequence[int]) -> dict[str, Any]:
    return {
        "robot": ROBOT,
        "demonstrations": {
            "experts": {"episodes": arguments.experts, "frames": frames[0], "noise": 0.0},
            "noisy": {"episodes": arguments.noisy, "frames": frames[1], "noise": arguments.noise},
        },
        "seeds": arguments.seeds,
        "weightings": [asdict(outcome) | {"success": outcome.success} for outcome in outcomes],
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RobomixError as error:
        sys.exit(f"error: {error}")
