"""What a training reports: averages since the last report, split by source, as a log line and a line of JSON."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robomix.training.objectives import Objective


@dataclass
class Window:
    """Sums since the last report. Losses stay on the device until then, so that no step waits for them."""

    sources: int
    device: torch.device
    started: float = field(default_factory=time.perf_counter)
    steps: int = 0
    waited: float = 0.0
    """Seconds the training waited for data."""

    def __post_init__(self) -> None:
        self._loss = torch.zeros((), device=self.device)
        self._grad_norm = torch.zeros((), device=self.device)
        self._errors = torch.zeros(self.sources, device=self.device)
        self._weights = torch.zeros(self.sources, device=self.device)

    def add(self, loss: Tensor, grad_norm: Tensor, objective: Objective | None, source: Tensor, waited: float) -> None:
        """Counts one step; `source` (B,) is each sample's dataset_index."""
        self.steps += 1
        self.waited += waited
        self._loss += loss.detach()
        self._grad_norm += grad_norm.detach()
        if objective is not None:
            index = source.to(self.device)
            self._errors.index_add_(0, index, objective.errors.detach().float())
            self._weights.index_add_(0, index, objective.weights.detach().float())

    def reduced(self, accelerator: Any, names: list[str]) -> dict[str, Any]:
        """The averages over all ranks: `loss`, `grad_norm`, `data_wait_share`, `steps_per_s`, `loss_per_source`."""
        elapsed = time.perf_counter() - self.started
        sums = accelerator.reduce(torch.cat([self._errors, self._weights]), "sum").cpu().numpy()
        mean = accelerator.reduce(torch.stack([self._loss, self._grad_norm]), "mean").cpu().numpy() / self.steps
        errors, weights = np.split(sums, 2)
        return {
            "loss": float(mean[0]),
            "grad_norm": float(mean[1]),
            "data_wait_share": self.waited / elapsed,
            "steps_per_s": self.steps / elapsed,
            "loss_per_source": {name: float(e / w) for name, e, w in zip(names, errors, weights, strict=True) if w > 0},
        }


def log_line(record: dict[str, Any]) -> str:
    """One line for people of a record of the training."""
    parts = [
        f"step {record['step']:,}",
        f"loss {record['loss']:.4f}",
        f"grad {record['grad_norm']:.2f}",
        f"lr {record['lr']:.1e}",
        f"{record['samples_per_s']:,.0f} samples/s",
        f"data wait {record['data_wait_share']:.0%}",
    ]
    if record["loss_per_source"]:
        parts.append("loss of " + ", ".join(f"{name} {loss:.4f}" for name, loss in record["loss_per_source"].items()))
    return " | ".join(parts)


class MetricsFile:
    """`metrics.jsonl`: one JSON object per report. A resumed run first drops what lies beyond its checkpoint."""

    def __init__(self, path: Path, resumed_at: int) -> None:
        self.path = path
        kept = []
        if resumed_at and path.exists():
            kept = [line for line in path.read_text().splitlines() if _step_of(line) <= resumed_at]
        path.write_text("".join(f"{line}\n" for line in kept))

    def write(self, record: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")


def _step_of(line: str) -> float:
    """The step of a line; a line that was cut off by a crash counts as beyond every checkpoint."""
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError):
        return float("inf")
