"""Fully sharded training (FSDP): each rank holds a part of the weights, the gradients and the optimizer's state.

What is written and evaluated is whole all the same. The main process has a spare policy in its memory, outside of the
accelerator's, that takes the gathered weights; the optimizer's state is gathered beside it, and numbered as that of one
process is. So a checkpoint of a sharded run is one like any other, and goes on with other ranks, or not sharded.

https://docs.pytorch.org/docs/stable/fsdp.html
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_optimizer_state_dict
from torch.distributed.fsdp import FullyShardedDataParallel

from robomix.errors import ConfigError
from robomix.training.checkpoint import damage_told
from robomix.training.lerobot import DistributedType, load_optimizer_state_dict
from robomix.training.model_folders import STATE

_CHANGE_THEMSELVES = {"vqbet"}
"""Policies that change weights, or which of them are trained, while they compute their loss."""


def is_sharded(accelerator: Any) -> bool:
    """Whether each rank holds a part of the weights alone."""
    return bool(accelerator.distributed_type == DistributedType.FSDP)


def check_launcher(accelerator: Any) -> None:
    """Raises ConfigError for kinds of sharding that cannot be gathered into a checkpoint as LeRobot gathers it."""
    plugin = accelerator.state.fsdp_plugin
    if plugin.fsdp_version != 1:
        raise ConfigError(f"fsdp_version: found {plugin.fsdp_version}, expected 1, as LeRobot has it.")
    if not plugin.use_orig_params:
        raise ConfigError(
            "fsdp_use_orig_params: found false, expected true: the optimizer has settings for single weights. Give "
            "--fsdp_use_orig_params=true to `accelerate launch`."
        )


class Whole:
    """The policy as a whole on the main process, and the state of its optimizer. Not sharded, they are that anyway."""

    policy: Any
    """On the main process: the policy itself, or under FSDP its copy on the CPU, as it was when last gathered."""
    optimizer_state: dict[str, Any] | None = None
    """Under FSDP, on the main process: as `optimizer.state_dict()` of one process, on the CPU, as last gathered."""

    def __init__(self, policy: Any, accelerator: Any) -> None:
        """`policy` before it is prepared. Raises ConfigError where it cannot be sharded."""
        self.policy = policy
        self._accelerator = accelerator
        self._sharded = is_sharded(accelerator)
        if self._sharded:
            _check_policy(policy)
            if accelerator.is_main_process:
                self.policy = copy.deepcopy(policy.cpu())
                policy.to(accelerator.device)

    def prepare(self, learner: Any, optimizer: Any, robots: int) -> tuple[Any, Any]:
        """Both as the ranks share them; `robots` is how many the learner tells apart.

        Raises ConfigError where the launcher's wrapping does not fit the policy.
        """
        try:
            self._learner, prepared = self._accelerator.prepare(learner, optimizer)
        except ValueError as error:
            if not self._sharded:
                raise
            raise ConfigError(f"FSDP: {error} --fsdp_auto_wrap_policy=NO_WRAP does without layers.") from error
        if self._sharded and robots > 1 and len(FullyShardedDataParallel.fsdp_modules(self._learner)) > 1:
            raise ConfigError(
                "fsdp_auto_wrap_policy: the mixture has robots with different observations, for each of which a rank "
                "goes through the policy on its own, and ranks that take turns with single layers would wait for each "
                "other. Give --fsdp_auto_wrap_policy=NO_WRAP to `accelerate launch`."
            )
        self._optimizer = optimizer  # as torch has it
        return self._learner, prepared

    def restore(self, checkpoint: Path) -> None:
        """Under FSDP, loads the optimizer's part of each rank. To be called by all ranks.

        Raises ConfigError where it is missing or damaged.
        """
        learner, optimizer = self._learner, self._optimizer
        with damage_told(checkpoint):
            state = load_optimizer_state_dict(checkpoint / STATE)
            named = _renamed(state, dict(enumerate(_parameter_names(learner, optimizer))))
            set_optimizer_state_dict(learner, optimizer, named, options=StateDictOptions(full_state_dict=True))

    def gather(self) -> None:
        """Brings the whole up to date. To be called by all ranks."""
        if not self._sharded:
            return
        learner, optimizer = self._learner, self._optimizer
        to_cpu = self._accelerator.device.type != "cpu"  # tensors that are there already would be freed after all
        weights, state = get_state_dict(
            learner, optimizer, options=StateDictOptions(full_state_dict=True, cpu_offload=to_cpu)
        )
        if self._accelerator.is_main_process:
            self.policy.load_state_dict({name.removeprefix("policy."): value for name, value in weights.items()})
            numbers = {name: number for number, name in enumerate(_parameter_names(learner, optimizer))}
            self.optimizer_state = _renamed(state, numbers)

    @contextmanager
    def on_device(self) -> Iterator[Any]:
        """The policy as last gathered, on the device of the training while inside."""
        try:
            yield self.policy.to(self._accelerator.device)
        finally:
            if self._sharded:
                self.policy.cpu()


def _check_policy(policy: Any) -> None:
    kind = policy.config.type
    if kind in _CHANGE_THEMSELVES or hasattr(policy, "update"):
        raise ConfigError(f"FSDP: policy {kind!r} changes its weights by itself, and must have all. Train it without.")
    kinds = sorted({str(weights.dtype).removeprefix("torch.") for weights in policy.parameters()})
    if kinds != ["float32"]:
        raise ConfigError(
            f"FSDP: the weights of policy {kind!r} are in {' and '.join(kinds)}, expected float32 alone, which FSDP "
            "shards and keeps exactly. Give --policy.dtype=float32 where the policy has it, and "
            "--mixed_precision=bf16 to `accelerate launch`, which computes in bfloat16."
        )


def _parameter_names(learner: Any, optimizer: Any) -> list[str]:
    """The names of the optimizer's parameters, in the order by which `state_dict` of one process numbers them."""
    names = {id(parameter): _plain(name) for name, parameter in learner.named_parameters()}
    return [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]


def _plain(name: str) -> str:
    """A parameter's name without what FSDP puts between."""
    return name.replace("_fsdp_wrapped_module.", "")


def _renamed(state: dict[str, Any], names: dict[Any, Any]) -> dict[str, Any]:
    """An optimizer's state with other keys for its parameters."""
    groups = [group | {"params": [names[key] for key in group["params"]]} for group in state["param_groups"]]
    known = {str(key): name for key, name in names.items()}  # read from a file, numbers are text
    return {"state": {known[str(key)]: own for key, own in state["state"].items()}, "param_groups": groups}
