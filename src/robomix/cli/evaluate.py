"""`robomix eval`: a trained policy in the environments of its datasets."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from robomix.errors import ConfigError
from robomix.training.seeds import EVALUATION_SEED


@dataclass(frozen=True)
class Arguments:
    """Rolls a trained policy out in the environments of its datasets: of those that say `eval: true` or have an `env:`.

    Each dataset is evaluated with the statistics of its own robot, under its own names, for its own task. Results and
    videos are named by the dataset's `name` (robomimic's `key`).
    """

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """A checkpoint, its policy folder, or the output folder of a training, whose last checkpoint is taken."""
    config: Path | None = None
    """Mixture file that says what to evaluate; default: the one the checkpoint was trained with."""
    only: tuple[str, ...] = ()
    """Names of the datasets to evaluate; default: all."""
    episodes: int = 50
    """Episodes in each environment."""
    batch_size: int = 0
    """Environments that are stepped at once; 0 for a number that suits the machine."""
    seed: int = EVALUATION_SEED
    """Of the first episode; the next have the next seeds. By default those of trainings, far from demonstrations'."""
    videos: int = 4
    """Episodes of each environment to keep as videos."""
    output_dir: Path | None = None
    """Where eval.json and the videos go. Default: outputs/eval/DATE/TIME."""
    device: str | None = None
    """Such as cuda or cpu; default: the fastest there is."""
    json: bool = False
    """Print the results as JSON, for programs."""


def run(argv: Sequence[str]) -> int:
    """Evaluates as `argv` says. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix eval", args=list(argv), use_underscores=True)
    from robomix.training.evaluate_checkpoint import evaluate_checkpoint  # importing LeRobot takes seconds
    from robomix.training.evaluation import as_table

    folder = arguments.output_dir or Path(f"outputs/eval/{datetime.now():%Y-%m-%d/%H-%M-%S}")
    results_file = _new_file(folder)
    results = evaluate_checkpoint(
        arguments.checkpoint,
        arguments.config,
        names=arguments.only,
        episodes=arguments.episodes,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        device=arguments.device,
        video_folder=folder / "videos" if arguments.videos > 0 else None,
        videos=arguments.videos,
    )
    record = {
        result.name: result.record() | {"of_episode": [episode.record() for episode in result.episodes]}
        for result in results
    }
    results_file.write_text(json.dumps(record, indent=2) + "\n")
    if arguments.json:
        print(json.dumps(record, indent=2))
    else:
        console = Console()
        console.print(as_table(results))
        console.print(f"results and videos in {folder}", highlight=False, soft_wrap=True)
    return 0


def _new_file(folder: Path) -> Path:
    """Where the results go: a file that is not there yet, in a folder that can be written to."""
    path = folder / "eval.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.touch(exist_ok=False)
        path.unlink()
    except FileExistsError:
        advice = "holds results already" if path.exists() else "is a file, or lies below one"
        raise ConfigError(f"--output_dir: {folder} {advice}. Choose another folder.") from None
    except OSError as error:
        raise ConfigError(f"--output_dir: {folder} cannot be written to: {error.strerror}. Choose another.") from error
    return path
