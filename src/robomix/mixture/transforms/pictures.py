"""Steps that change camera images."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from robomix.errors import AlignmentError, ConfigError, did_you_mean
from robomix.features import Feature
from robomix.mixture.transforms.base import DatasetTransformStep, Sample, register_dataset_transform


def resized(images: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """`images` (..., C, H, W) uint8 as (..., C, height, width): bilinear with antialiasing, rounded to uint8.

    Those that have the size come back as they are.
    """
    if tuple(images.shape[-2:]) == (height, width):
        return images
    from torchvision.transforms.v2 import functional as pictures  # importing it takes seconds and 200 MiB of memory

    flat = images.reshape(-1, *images.shape[-3:])
    return pictures.resize(flat, [height, width], antialias=True).reshape(*images.shape[:-2], height, width)


@register_dataset_transform("resize_images")
class ResizeImages(DatasetTransformStep):
    """Resizes every camera to (height, width): bilinear with antialiasing, rounded to uint8; proportions change."""

    batched = True

    def __init__(self, height: int, width: int) -> None:
        for name, value in (("height", height), ("width", width)):
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name} must be a positive whole number, found {value!r}")
        self.size = [height, width]
        self._cameras: tuple[str, ...] = ()

    def __call__(self, sample: Sample) -> Sample:
        return sample | {key: self._resize(sample[key]) for key in self._cameras if key in sample}

    def needs(self, keys: frozenset[str]) -> frozenset[str]:
        return keys

    def inverse(self) -> None:
        return None

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature]:
        self._cameras = tuple(key for key, feature in features.items() if feature.is_camera)
        resized = {key: replace(features[key], shape=(features[key].shape[0], *self.size)) for key in self._cameras}
        return dict(features) | resized

    def _resize(self, images: torch.Tensor) -> torch.Tensor:
        return resized(images, *self.size)


@register_dataset_transform("swap_red_blue")
class SwapRedBlue(DatasetTransformStep):
    """Exchanges red and blue in every camera, or in those named: for recordings written the wrong way round."""

    batched = True

    def __init__(self, cameras: Sequence[str] | None = None) -> None:
        self._named = None if cameras is None else tuple(cameras)
        self._cameras: tuple[str, ...] = ()

    def __call__(self, sample: Sample) -> Sample:
        return sample | {key: sample[key].flip(-3) for key in self._cameras if key in sample}

    def needs(self, keys: frozenset[str]) -> frozenset[str]:
        return keys

    def inverse(self) -> None:
        return None

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature]:
        known = [key for key, feature in features.items() if feature.is_camera and feature.shape[0] == 3]
        for key in self._named or ():
            if key not in known:
                choice = ", ".join(known) or "none"
                raise AlignmentError(f"{key!r} is no colour camera. There is {choice}.{did_you_mean(key, known)}")
        self._cameras = tuple(known) if self._named is None else self._named
        return dict(features)
