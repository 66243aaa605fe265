"""What `robomix verify` adds to the loading it measures: the same batches from the same loader, with and without it.

    python -m benchmarks.verify [--rounds 3]

Numbers alone (states and 50-step chunks of 14, the fastest batches there are to read) and a real recording with a
camera (`g1_v30`), each read in the process itself, where processor time counts, and by two workers, where it is the
time until all batches are there. Both sides are drawn in turn, and the fastest round of each counts. The comparison
with a second loader, which comes after the drawing, is not in it. In the process itself, the speed that `verify`
reports is that of loading alone, whatever is added.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.samples import write
from robomix import MixtureConfig
from robomix.mixture.dataset import Batch
from robomix.mixture.factory import make_mixture
from robomix.mixture.resolve import make_schedule
from robomix.tools.verify.drawing import draw
from robomix.tools.verify.subject import Subject
from robomix.tools.verify.tally import Tally

REAL_DATA = Path(os.environ.get("ROBOMIX_REAL_DATA", "../shared/data"))


def subject(root: Path, workers: int, batch_size: int) -> Subject:
    config = MixtureConfig.from_dict({"datasets": [{"root": str(root)}]})
    mixture = make_mixture(config, delta_indices={"action": range(50)})
    schedule = make_schedule(mixture.sources, config, seed=0, batch_size=batch_size)
    return Subject(config, mixture, schedule, workers=workers)


def seconds(made: Subject, batches: int, *, verified: bool) -> float:
    tally = Tally(made.mixture)

    def nothing(batch: Batch, step: int, rank: int) -> None:
        pass

    started = time.process_time()
    _, timing = draw(made, batches, tally.add if verified else nothing)
    return timing.draw_s if made.workers else time.process_time() - started


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args(argv).rounds
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "set", 60_000)
        cases = [("numbers alone", Path(folder) / "set", 64, 1500), ("numbers alone", Path(folder) / "set", 256, 800)]
        if (REAL_DATA / "g1_v30").is_dir():
            cases.append(("g1_v30, 480 x 640", REAL_DATA / "g1_v30", 32, 12))
        for name, root, batch_size, batches in cases:
            for workers in (0, 2):
                made = subject(root, workers, batch_size)
                both = np.array([[seconds(made, batches, verified=v) for v in (False, True)] for _ in range(rounds)])
                (bare, verified), samples = both.min(axis=0), batches * batch_size
                print(
                    f"{name}, batches of {batch_size}, {workers} workers: "
                    f"{samples / bare:9,.0f} samples/s, verified {samples / verified:9,.0f}; "
                    f"verify adds {verified / bare - 1:6.1%}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
