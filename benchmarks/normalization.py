"""One normalization for two robots that speak different units, against one for each: how often is the task solved?

    python -m benchmarks.normalization [--seeds 0 1 2] [--steps 2000] [--demonstrations 50] [--rollouts 50]

Two simulated pairs of ALOHA arms hand over a cube. The driver of one speaks radians, that of the other degrees; robot
and task are the same, so that nothing but units tells them apart. A small ACT is trained on the demonstrations of
both, with `normalize_by: global` and with `normalize_by: embodiment`: same demonstrations, seeds, weights and steps.
`robomix eval` then lets it drive each robot through episodes no demonstration has seen. About 15 minutes on two cores.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin take the cores from others

from rich.console import Console
from rich.table import Table

from benchmarks import aloha_in_degrees
from robomix.sim import open_robot, record
from robomix.training.config import build
from robomix.training.evaluate_checkpoint import evaluate_checkpoint
from robomix.training.evaluation import as_table
from robomix.training.loop import train

GLOBAL, OF_EACH = "global", "embodiment"
RADIANS, DEGREES = "aloha", aloha_in_degrees.NAME
ENVIRONMENTS: Mapping[str, Mapping[str, Any]] = {
    RADIANS: {"type": "robomix", "task": RADIANS},
    DEGREES: {"type": "gym", "task": aloha_in_degrees.TASK, "package": aloha_in_degrees.__name__},
}
EXECUTED = 16
"""Actions of a plan that are executed before the policy looks again: 0.32 s."""
FIRST_SEEDS = {RADIANS: 0, DEGREES: 10_000}
"""Where demonstrations start counting seeds: no episode is in both datasets."""
POLICY: Mapping[str, Any] = {
    "type": "act",
    "device": "cpu",
    "push_to_hub": False,
    "chunk_size": EXECUTED,
    "n_action_steps": EXECUTED,
    "normalization_mapping": dict.fromkeys(("STATE", "ENV", "VISUAL", "ACTION"), "MEAN_STD"),
    "use_vae": False,
    "dropout": 0.0,
    "dim_model": 128,
    "n_heads": 4,
    "dim_feedforward": 256,
    "n_encoder_layers": 2,
    "n_decoder_layers": 1,
    "pretrained_backbone_weights": None,
    "optimizer_lr": 5.0e-4,
}
"""That of examples/three_robots."""

Solved = dict[str, list[int]]
"""For each robot: how many episodes were solved, by training seed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study; the exit code, which is that of a training that was stopped."""
    arguments = _parse(argv)
    console, started = Console(), time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["ROBOMIX_CACHE"] = str(folder / "cache")
        for robot in ENVIRONMENTS:
            demonstrate(robot, folder / robot, arguments.demonstrations)
        solved: dict[str, Solved] = {way: {robot: [] for robot in ENVIRONMENTS} for way in (GLOBAL, OF_EACH)}
        for seed in arguments.seeds:
            for way, of_way in solved.items():
                console.rule(f"normalize_by: {way}, seed {seed}")
                run = folder / f"{way}_{seed}"
                if code := train(build(training(folder, run, way, seed=seed, steps=arguments.steps))):
                    return code
                results = evaluate_checkpoint(run, episodes=arguments.rollouts, device="cpu")
                console.print(as_table(results))
                for result in results:
                    of_way[result.name].append(sum(episode.success for episode in result.episodes))
    console.rule()
    console.print(summary(solved, arguments.rollouts))
    seeds = ", ".join(map(str, arguments.seeds))
    console.print(
        f"{arguments.demonstrations} demonstrations of each robot, {arguments.steps} steps, training seeds {seeds}; "
        f"{(time.perf_counter() - started) / 60:.1f} minutes",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def demonstrate(name: str, path: Path, episodes: int) -> None:
    with open_robot(name) as robot:
        record(robot, path, episodes=episodes, seed=FIRST_SEEDS[name])


def training(folder: Path, output: Path, normalize_by: str, *, seed: int, steps: int) -> dict[str, Any]:
    """The config of a training on the datasets in `folder`, as a mixture file has it."""
    sources = [
        {"name": robot, "root": str(folder / robot), "env": dict(environment) | {"n_action_steps": EXECUTED}}
        for robot, environment in ENVIRONMENTS.items()
    ]
    return {
        "dataset": {"normalize_by": normalize_by, "datasets": sources},
        "policy": dict(POLICY),
        "output_dir": str(output),
        "batch_size": 96,
        "steps": steps,
        "save_freq": steps,
        "log_freq": 500,
        "env_eval_freq": 0,
        "seed": seed,
        "num_workers": 0,
    }


def summary(solved: Mapping[str, Solved], rollouts: int) -> Table:
    """Episodes solved of each robot, by training seed, and the ratio of both ways of normalizing."""
    made = Table(title=f"Solved of {rollouts} episodes, by training seed", title_justify="left")
    made.add_column("robot")
    for header in (f"normalize_by: {GLOBAL}", f"normalize_by: {OF_EACH}", "ratio"):
        made.add_column(header, justify="right")
    for robot in ENVIRONMENTS:
        counts = [solved[way][robot] for way in (GLOBAL, OF_EACH)]
        made.add_row(robot, *(_counts(of_way, rollouts) for of_way in counts), _ratio(*counts))
    both = [[count for of_robot in solved[way].values() for count in of_robot] for way in (GLOBAL, OF_EACH)]
    made.add_section()
    made.add_row("both", *(f"{_share(of_way, rollouts):.0%}" for of_way in both), _ratio(*both))
    return made


def _counts(counts: Sequence[int], rollouts: int) -> str:
    return f"{', '.join(map(str, counts))}: {_share(counts, rollouts):.0%}"


def _share(counts: Sequence[int], rollouts: int) -> float:
    return sum(counts) / (len(counts) * rollouts)


def _ratio(before: Sequence[int], after: Sequence[int]) -> str:
    return f"{sum(after) / sum(before):.2f}" if sum(before) else "-"


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the trainings (default: 0 1 2)")
    parser.add_argument("--steps", type=int, default=2000, help="of each training (default: %(default)s)")
    parser.add_argument("--demonstrations", type=int, default=50, help="of each robot (default: %(default)s)")
    parser.add_argument("--rollouts", type=int, default=50, help="of each robot (default: %(default)s)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
