"""A mixture of two small datasets, and the ways to train from it: decoding and resizing, or materialized."""

from pathlib import Path
from typing import Any

import torch

from robomix import Mixture, MixtureConfig, make_loader, make_mixture
from robomix.mixture.materialized import Storage
from robomix.mixture.resolve import make_schedule
from robomix.tools.materialize.plan import Plan, make_plan
from robomix.tools.materialize.run import Result, carry_out
from tests.fixtures import write_v21, write_v30

SIZE = {"height": 24, "width": 40}
RESIZE = {"type": "resize_images", "kwargs": SIZE}
TOP, SIDE = "observation.images.top", "observation.images.side"


def write_sources(folder: Path) -> list[dict[str, Any]]:
    """Two datasets of other cameras, rates, tasks and widths, and their entries in a mixture file."""
    write_v30(folder / "one", lengths=(9, 12, 7, 8), cameras={TOP: (48, 64), SIDE: (32, 48)})
    write_v21(folder / "two", lengths=(6, 11, 5), fps=30, seed=1, action_dim=4, storage="image", extra={"done": (1,)})
    return [{"root": str(folder / "one")}, {"root": str(folder / "two"), "weight": 2.0}]


def block(entries: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"datasets": entries} | more


def on_the_fly(data: dict[str, Any]) -> MixtureConfig:
    """The mixture with all pictures resized as they are read, before the other transforms."""
    entries = [entry | {"transforms": [RESIZE, *entry.get("transforms", [])]} for entry in data["datasets"]]
    return MixtureConfig.from_dict(data | {"datasets": entries})


def plan_of(data: dict[str, Any], out: Path, storage: Storage, **settings: Any) -> Plan:
    return make_plan(MixtureConfig.from_dict(data), out, storage=storage, **SIZE | settings)


def materialize(data: dict[str, Any], out: Path, storage: Storage, **settings: Any) -> Result:
    plan = plan_of(data, out, storage)
    return carry_out(plan, {"dataset": data, "steps": 3}, **settings)


def opened(config: MixtureConfig) -> Mixture:
    return make_mixture(config, delta_indices={"action": range(3), TOP: (-1, 0)})


def batches(config: MixtureConfig, count: int = 6, seed: int = 5) -> list[dict[str, Any]]:
    """The first batches of a training."""
    mixture = opened(config)
    schedule = make_schedule(mixture.sources, config, seed=seed, batch_size=8)
    return list(make_loader(mixture, schedule, stop=count))


def is_equal(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if torch.is_tensor(one) else bool(one == other)
