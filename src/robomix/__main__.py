"""`python -m robomix` is the `robomix` command; `accelerate launch -m robomix train` runs it on several processes."""

import sys

from robomix.cli.main import main

if __name__ == "__main__":  # spawned workers import this module too
    sys.exit(main())
