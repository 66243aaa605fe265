"""`robomix train` with torch's FSDP on CPUs, which accelerate offers on accelerators alone.

torchrun --nproc_per_node=2 tests/training/train_sharded.py --config_path=mix.yaml
"""

import os
import sys
from typing import Any

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from robomix.cli.main import main

DEFAULTS = {"ACCELERATE_USE_FSDP": "true", "FSDP_USE_ORIG_PARAMS": "true"}
"""As `accelerate launch --use_fsdp` tells its processes."""


def shard_on_cpus() -> None:
    """From now on, accelerate takes several processes on CPUs for such that share a model."""
    plain = AcceleratorState.__init__

    def sharded(self: AcceleratorState, *args: Any, fsdp_plugin: Any = None, **kwargs: Any) -> None:
        plain(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU:
            cpu = torch.device("cpu")  # not "cpu:0", which torch holds for another
            PartialState._shared_state.update(distributed_type=DistributedType.FSDP, device=cpu)
            self.distributed_type, self.device = DistributedType.FSDP, cpu
            self.fsdp_plugin = fsdp_plugin
            if self._mixed_precision != "no":
                fsdp_plugin.set_mixed_precision(self._mixed_precision)

    AcceleratorState.__init__ = sharded


if __name__ == "__main__":  # spawned workers import this module too
    os.environ |= DEFAULTS | os.environ
    torch.set_num_threads(1)
    shard_on_cpus()
    sys.exit(main(["train", *sys.argv[1:]]))
