"""Several processes of one training (ranks): how they share a global batch, and what they do when one is lost.

Every rank draws its slice of the same global batch: batch_size samples in each of gradient_accumulation_steps parts. So
the samples of a step depend on the size of the global batch alone, and a run may go on with other ranks and parts as
long as that stays the same.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import torch

from robomix.errors import ConfigError, RobomixError
from robomix.training.config import TrainConfig
from robomix.training.lerobot import (
    Accelerator,
    DistributedDataParallelKwargs,
    DistributedType,
    GradientAccumulationPlugin,
    InitProcessGroupKwargs,
)
from robomix.training.sharding import check_launcher, is_sharded

PATIENCE = timedelta(hours=6)
"""How long ranks wait for each other: one may evaluate or read a large dataset for the first time meanwhile. A rank
that is gone is noticed at once by the closed connection, and by the launcher."""

_KINDS = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU, DistributedType.FSDP)
_AHEAD_S = 10.0
"""By how many seconds the first rank may be later than the others at meeting an error."""
_PARTS_OF_LAUNCHER = "ACCELERATE_GRADIENT_ACCUMULATION_STEPS"

log = logging.getLogger(__name__)


def build_accelerator(config: TrainConfig) -> Accelerator:
    """Device, ranks and precision: what `accelerate launch` or `torchrun` says, on the policy's device, and in its
    number type where it has one. Raises ConfigError for what contradicts the config or is not supported.
    """
    settings = config.policy
    precision = {"bfloat16": "bf16", "float16": "fp16"}.get(getattr(settings, "dtype", None) or "")
    if precision is None and settings.use_amp:
        precision = {torch.bfloat16: "bf16", torch.float16: "fp16"}[torch.get_autocast_dtype(settings.device)]
    torch.backends.cudnn.deterministic = config.cudnn_deterministic
    torch.backends.cudnn.benchmark = not config.cudnn_deterministic
    accelerator = Accelerator(
        cpu=settings.device == "cpu",
        mixed_precision=precision,  # None: as the launcher says
        gradient_accumulation_plugin=_parts(config),
        kwargs_handlers=[
            DistributedDataParallelKwargs(find_unused_parameters=True),
            InitProcessGroupKwargs(timeout=PATIENCE),
        ],
    )
    if accelerator.distributed_type not in _KINDS:
        raise ConfigError(
            f"the launcher asks for {accelerator.distributed_type.value}, and robomix trains on one process, or on "
            "several with a whole model or a part of it (FSDP) each. Start it with `accelerate launch --multi_gpu` or "
            "`--use_fsdp`, or with torchrun."
        )
    if is_sharded(accelerator):
        check_launcher(accelerator)
    return accelerator


def keep_global_batch(config: TrainConfig, accelerator: Any, size: int) -> None:
    """Sets `config.batch_size` so that the ranks of a resumed run share global batches of `size`, as they did before.

    Left as it is where a flag gives it. Raises ConfigError where `size` cannot be shared out.
    """
    ranks, parts = accelerator.num_processes, accelerator.gradient_accumulation_steps
    if ("batch_size",) in config.set_by or config.batch_size * ranks * parts == size:
        return
    if size % (ranks * parts):
        of_parts = f" in {parts} parts each" if parts > 1 else ""
        raise ConfigError(
            f"cannot continue this run on {ranks} ranks{of_parts}: its global batch of {size} cannot be shared out "
            f"equally. Take a number of ranks by which {size} can be divided."
        )
    log.info("batch_size %d per rank: global batches stay those of %d samples", size // (ranks * parts), size)
    config.batch_size = size // (ranks * parts)


def in_part(learner: Any, accelerator: Any, part: int) -> Any:
    """A context for part number `part` of a step: gradients are shared between ranks with the last one alone."""
    last = part == accelerator.gradient_accumulation_steps - 1
    return nullcontext() if last else accelerator.no_sync(learner)


def any_rank(accelerator: Any, flag: bool) -> bool:
    """Whether `flag` is set on any rank: for what all of them must do at the same step."""
    if accelerator.num_processes == 1:
        return flag
    asked = torch.tensor(int(flag), device=accelerator.device)
    return bool(accelerator.reduce(asked, "sum").item())


class LostRankError(RobomixError):
    """Another rank of this training is gone."""


@contextmanager
def first_rank_tells() -> Iterator[None]:
    """Inside, an error that all ranks meet is left to the first: it ends, and the launcher ends the others with it.

    They wait that long before they raise theirs, which only they may have met.
    """
    try:
        yield
    except RobomixError as error:
        if os.environ.get("RANK", "0") != "0" and not isinstance(error, LostRankError):
            time.sleep(_AHEAD_S)
        raise


@contextmanager
def lost_ranks_told(accelerator: Any, how_to_go_on: Callable[[], str]) -> Iterator[None]:
    """Inside, the error of a collective operation whose partner is gone says so, and how to go on.

    Raises LostRankError in place of torch's error.
    """
    try:
        yield
    except RuntimeError as error:
        if accelerator.num_processes == 1 or not _is_lost_connection(error):
            raise
        first = str(error).splitlines()[0]
        raise LostRankError(
            f"rank {accelerator.process_index} of {accelerator.num_processes} has lost another rank of this training, "
            f"which was killed or failed; the message of that one, if it left any, says why ({first[:200]})"
            f"{how_to_go_on()}"
        ) from error


def _is_lost_connection(error: RuntimeError) -> bool:
    if isinstance(error, torch.distributed.DistError):
        return True
    return any(
        sign in str(error) for sign in ("Connection closed by peer", "Connection reset", "gloo/transport", "NCCL")
    )


def _parts(config: TrainConfig) -> GradientAccumulationPlugin | None:
    """The number of parts of a step, by the config or else by the launcher. Raises ConfigError where they differ."""
    own, text = config.gradient_accumulation_steps, os.environ.get(_PARTS_OF_LAUNCHER, "1")
    launched = int(text) if text.isdigit() else 1
    if own > 1 and launched > 1 and own != launched:
        raise ConfigError(
            f"gradient_accumulation_steps: found {own}, and the launcher says {launched}. Give it in one place."
        )
    return GradientAccumulationPlugin(num_steps=max(own, launched))
