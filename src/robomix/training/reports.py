"""The reports of a training: a line for people, and the same as a record for `metrics.jsonl` and the tracker."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from robomix.mixture.lock import NAME as LOCK
from robomix.mixture.lock import write_lock
from robomix.remote.counts import counts
from robomix.training.config import TrainConfig
from robomix.training.drawn import Drawn
from robomix.training.metrics import MetricsFile, Window, log_line
from robomix.training.tracking import Tracker

log = logging.getLogger(__name__)


class Reports:
    """What the ranks report together; the main process writes it."""

    window: Window
    """What has been learned since the last report."""

    def __init__(self, config: TrainConfig, accelerator: Any, drawn: Drawn, lock: Mapping[str, Any]) -> None:
        """Begins the output folder: `metrics.jsonl`, in a resumed run behind its checkpoint, and `mixture.lock`.

        Raises RobomixError where that cannot be done.
        """
        self._config = config
        self._accelerator = accelerator
        self._schedule = drawn.schedule
        self._names = drawn.names
        if accelerator.is_main_process:
            output = Path(config.output_dir)
            self._metrics = MetricsFile(output / "metrics.jsonl", resumed_at=drawn.first)
            write_lock(output / LOCK, lock)
            self._tracker = Tracker(config, config.to_dict(), resumed=bool(config.checkpoint_path))
        self._begin()

    def is_due(self, step: int) -> bool:
        """Whether to report after `step`, unless it is the last, after which there is a report anyway."""
        return self._config.log_freq > 0 and step % self._config.log_freq == 0

    def report(self, step: int, optimizer: Any) -> None:
        """Tells what was learned since the last report. To be called by all ranks."""
        record = self._record(step, optimizer)
        if self._accelerator.is_main_process:
            log.info(log_line(record, self._config.steps))
        self.write(record)
        self._begin()

    def write(self, record: dict[str, Any]) -> None:
        """Raises RobomixError where it cannot be written."""
        if self._accelerator.is_main_process:
            self._metrics.write(record)
            self._tracker.log(record)

    def finish(self) -> None:
        """Ends the tracker's run."""
        if self._accelerator.is_main_process:
            self._tracker.finish()

    def _begin(self) -> None:
        """Counts anew, from now on."""
        self.window = Window(len(self._names), self._accelerator.device)

    def _record(self, step: int, optimizer: Any) -> dict[str, Any]:
        averages = self.window.reduced(self._accelerator, self._names)
        drawn, streams = self._schedule.consumed(step), self._schedule.streams
        retries = int(self._accelerator.reduce(torch.tensor(counts.retries, device=self._accelerator.device), "sum"))
        return (
            averages
            | ({"retries": retries} if retries else {})
            | {
                "step": step,
                "lr": optimizer.param_groups[0]["lr"],
                "samples_per_s": averages["steps_per_s"] * self._schedule.batch_size,
                "samples_per_source": {name: int(n) for name, n in zip(self._names, drawn, strict=True)},
                "epochs_per_source": {s.name: int(n) / s.frames for s, n in zip(streams, drawn, strict=True)},
            }
        )
