"""`robomix train`: train a LeRobot policy on a mixture of datasets."""

import os
import sys
from collections.abc import Sequence

from robomix.cli.train_help import policy_help, train_help


def run(argv: Sequence[str]) -> int:
    """Trains as `argv` says. Raises RobomixError for everything that is wrong with it, before the first step."""
    if "-h" in argv or "--help" in argv:
        print(policy_help(argv) or train_help())
        return 0
    from robomix.training.command_line import parse_train_args  # after the help: importing LeRobot takes seconds
    from robomix.training.ranks import first_rank_tells

    with first_rank_tells():
        cfg = parse_train_args(argv)
        if os.environ.get("RANK", "0") == "0":
            for note in cfg.notes:
                print(f"robomix train: note: {note}", file=sys.stderr)

        from robomix.training.loop import train

        return train(cfg)
