"""Batches on their way to the device."""

from collections.abc import Collection
from typing import Any

import torch


def on_device(batch: dict[str, Any], camera_keys: Collection[str], device: torch.device) -> dict[str, Any]:
    """The batch on the device; camera images travel there as bytes and are scaled to [0, 1].

    Always copied, into torch's own memory: where numbers lie on a vector register's boundary decides in which order
    they are summed, and arrays of a worker, of numpy and of torch lie differently. Runs must not differ in that.
    """
    moved = {k: v.to(device, non_blocking=True, copy=True) if torch.is_tensor(v) else v for k, v in batch.items()}
    return moved | {key: moved[key].float() / 255 for key in camera_keys}
