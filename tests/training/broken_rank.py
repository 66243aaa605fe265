"""A transform that fails in one of several processes alone."""

import os
from typing import Any

from robomix import DatasetTransformStep, register_dataset_transform


@register_dataset_transform("broken_on_rank_1")
class BrokenOnRank1(DatasetTransformStep):
    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        if os.environ.get("RANK") == "1":
            raise ValueError("this frame is broken")
        return sample
