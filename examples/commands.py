"""Running robomix's own commands from an example, shown as one would type them."""

import os
import subprocess
import sys

from rich.console import Console


def robomix(console: Console, *words: str) -> int:
    """Runs `robomix WORDS`; its exit code."""
    console.print("robomix", *words, highlight=False, soft_wrap=True)
    # Threads that wait for each other by spinning stand still where other processes want the same cores.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    return subprocess.run([sys.executable, "-m", "robomix", *words], env=environment, check=False).returncode
