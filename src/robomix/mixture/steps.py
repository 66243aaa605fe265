"""Running one transform over what a source has read, and checking what comes back.

A transform may be anybody's code. Whatever it raises or returns amiss becomes one error that says what, where and what
it was given; the source puts its own name and the transform's in front.
"""

import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from robomix.errors import AlignmentError, RobomixError
from robomix.features import BOOKKEEPING, Feature

Values = dict[str, Any]
"""Key to tensor with a leading batch axis; `task` to a list of texts."""


def run_step(call: Callable[[Values], Values], values: Values, *, batched: bool) -> Values:
    """What a transform makes of `values`: called once if `batched`, else once for each sample.

    Floating point observations and actions come back as float32. Raises AlignmentError for what `call` raises, and for
    a result that is not such a dict of as many samples.
    """
    n = len(values["task"])
    if batched:
        return _checked(_called(call, dict(values)), values, n)
    samples = []
    for i in range(n):
        sample = {key: value[i] for key, value in values.items()}
        samples.append(_checked(_called(call, dict(sample)), sample, None))
    try:
        return {
            key: [sample[key] for sample in samples] if key == "task" else torch.stack([s[key] for s in samples])
            for key in samples[0]
        }
    except (KeyError, RuntimeError) as error:
        raise AlignmentError(f"returned other keys or shapes for some samples than for others: {error}") from None


def _called(call: Callable[[Values], Values], values: Values) -> Any:
    try:
        return call(values)
    except RobomixError:
        raise
    except Exception as error:  # somebody's code: whatever it raises is told with its place
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        raise AlignmentError(
            f"raised {type(error).__name__}: {error} ({where}). It was given {_named(values)}"
        ) from error


def _checked(result: Any, before: Values, n: int | None) -> Values:
    """`result` with its numbers in the house's types; `n` is the length of the batch axis, None without one."""
    if not isinstance(result, dict):
        raise AlignmentError(f"returned {type(result).__name__}, expected the sample, a dict")
    checked: Values = {}
    for key, value in result.items():
        if key == "task":
            continue
        if key in (*BOOKKEEPING, "dataset_index") or str(key).endswith("_is_pad"):
            raise AlignmentError(f"returned {key!r}, which robomix makes itself; give it another name")
        if not torch.is_tensor(value):
            raise AlignmentError(f"returned {key!r} as {type(value).__name__}, expected a torch tensor")
        if n is not None and (not value.ndim or len(value) != n):
            raise AlignmentError(f"was given {n} samples and returned {key!r} of shape {tuple(value.shape)}")
        is_input = key.startswith(("observation", "action"))
        checked[key] = value.detach().float() if value.is_floating_point() and is_input else value.detach()
    return checked | {"task": result.get("task", before["task"])}


def _named(values: Values) -> str:
    return ", ".join(f"{key} {tuple(v.shape)}" if torch.is_tensor(v) else key for key, v in values.items())


def feature_like(before: Feature | None, value: torch.Tensor) -> Feature:
    """What a value without a batch axis is, that a step has made of a feature, or of none."""
    dtype = str(value.dtype).removeprefix("torch.")
    if before is None:
        return Feature("numeric", dtype, tuple(value.shape))
    same = before.shape == tuple(value.shape)
    return replace(
        before,
        dtype=dtype,
        shape=tuple(value.shape),
        names=before.names if same else None,
        real_dim=before.real_dim if same else None,
    )
