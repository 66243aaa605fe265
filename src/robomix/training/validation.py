"""The loss on the episodes that are held out, while a training runs.

Every held-out frame that can start a sample counts once, in order, through the processors and the loss of the training,
with the policy in eval mode: no dropout, no random crops, and of ACT no look at the actions through its latent, which
is zero as it is when the policy acts. What stays random, such as the noise of a diffusion, is named by the number of
the batch alone. So equal weights give equal numbers, whatever the step, the seed and the number of ranks.
"""

import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.table import Table
from tqdm import tqdm

from robomix.mixture.dataset import Mixture
from robomix.mixture.loader import OrderedBatches, load
from robomix.mixture.permutation import key_of
from robomix.mixture.schedule import Schedule
from robomix.training.config import TrainConfig
from robomix.training.device import on_device
from robomix.training.normalization import Processors
from robomix.training.objectives import Learner, Objective
from robomix.training.ranks import any_rank
from robomix.training.sharding import is_sharded
from robomix.training.signals import StopRequest, ignore_signals, signals_held

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Losses:
    """What the held-out frames of each source sum up to; arrays (D,) float64, by `dataset_index`."""

    errors: np.ndarray
    """Sum of the samples' errors (`Objective.errors`)."""
    weights: np.ndarray
    """Sum of their weights, their numbers of valid time steps."""
    extra: np.ndarray
    """Sum over samples of what the loss has beside their own errors, a mean over their batch."""
    samples: np.ndarray

    @property
    def of_sources(self) -> np.ndarray:
        """(D,): the loss of each source; NaN for one without held-out frames."""
        with np.errstate(invalid="ignore"):
            own = np.where(self.weights > 0, self.errors / self.weights, 0.0)
            return own + self.extra / self.samples

    @property
    def of_frames(self) -> float:
        """The loss over all frames of all sources, each counting alike."""
        return float(self.errors.sum() / max(self.weights.sum(), 1e-9) + self.extra.sum() / self.samples.sum())

    def weighted(self, shares: np.ndarray) -> float | None:
        """The mean of the sources' losses, weighted by their `shares` (D,) of the training.

        Only of those that have held-out frames; None where none of these is ever drawn from.
        """
        counts = (self.samples > 0) & (shares > 0)
        if not counts.any():
            return None
        return float(np.average(self.of_sources[counts], weights=shares[counts]))


class Validator:
    """Measures the loss on the held-out episodes of a mixture; never due where there are none."""

    def __init__(self, config: TrainConfig, mixture: Mixture, schedule: Schedule, accelerator: Any) -> None:
        """`mixture` is the one that is trained on, in the order of `schedule`."""
        self._config = config
        self._mixture = mixture.held_out()
        self._names = [source.name for source in mixture.sources]
        self._schedule = schedule
        self._accelerator = accelerator
        self._last: dict[str, Any] = {}
        self._shares = schedule.probabilities

    def is_due(self, step: int) -> bool:
        """Whether to measure after `step`: every `val_freq` steps, and at the end."""
        every = self._config.val_freq
        return self._mixture is not None and every > 0 and (step % every == 0 or step == self._config.steps)

    def __call__(
        self,
        learner: Any,
        processors: Processors,
        group_of_source: torch.Tensor,
        step: int,
        stop: StopRequest,
    ) -> dict[str, Any] | None:
        """The record for the metrics; None where a `stop` was asked for meanwhile, or the loss cannot be measured yet.

        To be called by all ranks. Leaves the learner in eval mode, and its weights as they are.
        """
        bare: Learner = self._accelerator.unwrap_model(learner)
        if self._mixture is None:
            return None
        if _learns_its_codes(bare.policy):
            log.info("no validation yet: the policy still learns the codes its loss is made of")
            return None
        bare.eval()
        losses = self._measured(self._mixture, learner, processors, group_of_source, stop)
        if losses is None:
            return None
        self._shares = self._schedule.shares(step - 1)  # those of the batch before
        self._last = self._record(losses)
        if self._accelerator.is_main_process:
            log.info("step %s | %s", f"{step:,}/{self._config.steps:,}", _line(self._last))
        return {"step": step, "val": self._last}

    def table(self) -> Table | None:
        """The latest numbers for people; None where there are none."""
        if self._mixture is None or not self._last:
            return None
        table = Table(title="Validation", title_justify="left")
        table.add_column("source", overflow="fold")
        for header in ("share", "episodes", "frames", "loss"):
            table.add_column(header, justify="right")
        for source, share in zip(self._mixture.sources, self._shares, strict=True):
            loss = self._last["loss_per_source"].get(source.name)
            shown = "" if loss is None else f"{loss:.4f}"
            numbers = (f"{len(source.frames.ids):,}", f"{source.frames.num_drawable:,}")
            table.add_row(source.name, f"{share:.2%}", *numbers, shown)
        table.add_section()
        frames = sum(source.frames.num_drawable for source in self._mixture.sources)
        totals = (f"{self._mixture.num_episodes:,}", f"{frames:,}")
        if "loss" in self._last:
            table.add_row("all, by share", "", *totals, f"{self._last['loss']:.4f}")
        table.add_row("all frames alike", "", *totals, f"{self._last['loss_of_frames']:.4f}")
        return table

    def _measured(
        self, mixture: Mixture, learner: Any, processors: Processors, groups: torch.Tensor, stop: StopRequest
    ) -> Losses | None:
        """The sums over all ranks; None where one of them was asked to stop."""
        accelerator, config = self._accelerator, self._config
        rank, ranks = accelerator.process_index, accelerator.num_processes
        together = is_sharded(accelerator)  # each batch takes all ranks; otherwise they take uneven numbers
        module = learner if together else accelerator.unwrap_model(learner)
        batches = OrderedBatches(mixture, config.batch_size, rank=rank, world_size=ranks, even=together)
        loader = load(
            batches,
            num_workers=min(config.num_workers, len(batches)),
            prefetch_factor=config.prefetch_factor,
            pin_memory=accelerator.device.type == "cuda",
            worker_init_fn=ignore_signals,
        )
        sums = np.zeros((4, len(self._names)))
        with closing(loader):
            with signals_held():
                running = iter(loader)
            no_bar = None if accelerator.is_main_process else True
            bar = tqdm(batches.numbers, "validation", unit="batch", delay=2, leave=False, disable=no_bar)
            for number, batch in zip(bar, running, strict=True):
                if any_rank(accelerator, bool(stop)) if together else stop:
                    break
                torch.manual_seed(key_of("validation", number) >> 1)
                source = batch["dataset_index"]
                inputs = processors(on_device(batch, mixture.camera_keys, accelerator.device), groups[source])
                # Not inference_mode: what a policy caches on the way is used in training again.
                with torch.no_grad(), accelerator.autocast():
                    objective = Objective(*module(inputs, inputs.get("action_dim_is_pad")))
                if number < batches.total:
                    sums[:, int(source[0])] += _sums(objective, len(source))
        totals = torch.tensor([*sums.ravel(), float(bool(stop))], dtype=torch.float64)
        if ranks > 1:
            totals = accelerator.reduce(totals.to(accelerator.device), "sum")
        *summed, stopped = totals.tolist()
        return None if stopped else Losses(*np.reshape(summed, sums.shape))

    def _record(self, losses: Losses) -> dict[str, Any]:
        of_sources = dict(zip(self._names, losses.of_sources.tolist(), strict=True))
        weighted = losses.weighted(self._shares)
        return {
            **({} if weighted is None else {"loss": weighted}),
            "loss_of_frames": losses.of_frames,
            "loss_per_source": {n: of_sources[n] for n, k in zip(self._names, losses.samples, strict=True) if k},
        }


def _sums(objective: Objective, size: int) -> tuple[float, float, float, int]:
    """One batch's part in each of `Losses`."""
    errors, weights = (of_samples.cpu().double().sum() for of_samples in (objective.errors, objective.weights))
    return errors.item(), weights.item(), objective.extra.item() * size, size


def _learns_its_codes(policy: Any) -> bool:
    """Whether a VQ-BeT is still in its first phase, where every call of its loss counts as a step of training."""
    return policy.config.type == "vqbet" and not bool(policy.vqbet.action_head.vqvae_model.discretized)


def _line(record: Mapping[str, Any]) -> str:
    """One line for people."""
    weighted = f"{record['loss']:.4f}, " if "loss" in record else ""
    of_sources = ", ".join(f"{name} {loss:.4f}" for name, loss in record["loss_per_source"].items())
    return f"validation loss {weighted}of all frames {record['loss_of_frames']:.4f} | of {of_sources}"
