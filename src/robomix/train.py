"""`python -m robomix.train` is `robomix train`, for launchers that start a module.

accelerate launch -m robomix.train --config_path=mix.yaml
torchrun --nproc_per_node=8 -m robomix.train --config_path=mix.yaml
"""

import sys

from robomix.cli.main import main

if __name__ == "__main__":  # spawned workers import this module too
    sys.exit(main(["train", *sys.argv[1:]]))
