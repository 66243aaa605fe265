"""Per-source transforms: steps a mixture file names to make one dataset's samples fit the others.

A step is a class registered under a name and built with the `kwargs` of the file. It is called with a dict of torch
tensors (the features after mapping, by their new names) plus `task` (str), and returns such a dict:

    from robomix import DatasetTransformStep, register_dataset_transform

    @register_dataset_transform("scale_action")
    class ScaleAction(DatasetTransformStep):
        def __init__(self, factor: float):
            self.factor = factor

        def __call__(self, sample):
            sample["action"] = sample["action"] * self.factor
            return sample

In the file: `transforms: [{type: "my_package.my_module:scale_action", kwargs: {factor: 0.5}}]`. The part before the
colon is imported first; without it the name must be built in or registered already. Samples come one at a time,
features with a horizon as (T, ...). A step that also works on tensors with a leading batch axis sets `batched = True`
and is called once per batch; `task` is then a list.

`base` has the contract, `windows` what a step may say of horizons; the other modules are the built-in steps.
"""

from robomix.mixture.transforms.actions import AbsoluteAction, DeltaAction
from robomix.mixture.transforms.base import (
    DatasetTransformStep,
    Sample,
    SampleError,
    build_transform,
    register_dataset_transform,
)
from robomix.mixture.transforms.joining import Concat, Keep, Select
from robomix.mixture.transforms.padding import PadAction, PadState
from robomix.mixture.transforms.pictures import ResizeImages, SwapRedBlue
from robomix.mixture.transforms.rotations import ConvertRotation
from robomix.mixture.transforms.values import (
    Binarize,
    Clip,
    DegreesToRadians,
    Invert,
    MapRange,
    RadiansToDegrees,
)
from robomix.mixture.transforms.windows import Window, Windows

__all__ = [
    "AbsoluteAction",
    "Binarize",
    "Clip",
    "Concat",
    "ConvertRotation",
    "DatasetTransformStep",
    "DegreesToRadians",
    "DeltaAction",
    "Invert",
    "Keep",
    "MapRange",
    "PadAction",
    "PadState",
    "RadiansToDegrees",
    "ResizeImages",
    "Sample",
    "SampleError",
    "Select",
    "SwapRedBlue",
    "Window",
    "Windows",
    "build_transform",
    "register_dataset_transform",
]
