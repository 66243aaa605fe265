"""What tells a policy where a sample is from: which entries, where they stand, and that nothing else knows of them."""

from typing import Any

import numpy as np
import pytest
import torch

from robomix.config import MixtureConfig
from robomix.errors import AlignmentError, ConfigError
from robomix.mixture.alignment import align
from robomix.mixture.condition import condition_of
from robomix.mixture.dataset import Mixture
from robomix.mixture.live import LiveSource
from robomix.mixture.source import Source
from tests.memory import ArrayDataset, source

STATE, OWN = "observation.state", "observation.embodiment"


def dataset(width: int | None, *, names: list[str] | None = None, robot_type: str = "arm") -> ArrayDataset:
    """Four frames; the state of frame i is i + 1 in all entries."""
    columns = {"action": np.ones((4, 2), np.float32)}
    if width is not None:
        columns[STATE] = np.repeat(np.arange(1, 5, dtype=np.float32)[:, None], width, axis=1)
    return ArrayDataset(columns, [4], names={STATE: names} if names else None, robot_type=robot_type)


def told(*sources: Source, features: str = "union", horizons: Any = None, **block: Any) -> Mixture:
    config = MixtureConfig.from_dict({"datasets": [{"root": s.name, "name": s.name} for s in sources], **block})
    return Mixture(sources, align(sources, features, condition_of(config, sources)), horizons=horizons)


def three() -> list[Source]:
    """Two entries of state, one, and none."""
    return [
        source(dataset(2, names=["x", "y"]), "a"),
        source(dataset(1), "b", group="other"),
        source(dataset(None), "c"),
    ]


def test_one_hot_entries_stand_in_front_of_the_state_and_padding_at_its_end() -> None:
    made = told(*three(), condition_on="source")
    assert made.schema.features[STATE].shape == (5,)
    batch = made.__getitems__([1, 4, 8])
    assert batch[STATE].tolist() == [[1, 0, 0, 2, 2], [0, 1, 0, 1, 0], [0, 0, 1, 0, 0]]
    assert batch[f"{STATE}_dim_is_pad"].tolist() == [[False] * 5, [False] * 4 + [True], [False] * 3 + [True] * 2]
    assert batch[STATE].dtype == torch.float32
    assert f"{STATE}_is_pad" not in batch  # no source lacks it: each has these entries
    for i in (1, 4, 8):
        assert torch.equal(made[i][STATE], batch[STATE][[1, 4, 8].index(i)])


def test_an_index_is_one_entry_with_the_number_of_the_group() -> None:
    made = told(*three(), condition_on="group", condition_as="index")
    assert made.__getitems__([1, 4, 8])[STATE].tolist() == [[0, 2, 2], [1, 1, 0], [0, 0, 0]]


def test_entries_are_named_by_what_they_tell() -> None:
    assert told(*three(), condition_on="source").features[STATE]["names"] == [
        "source=a", "source=b", "source=c", "x", "y",
    ]  # fmt: skip
    index = told(*three(), condition_on="group", condition_as="index")
    assert index.features[STATE]["names"] == ["group", "x", "y"]
    assert told(*three()[1:], condition_on="source").features[STATE]["names"] == ["source=b", "source=c", "0"]


def test_all_steps_of_a_window_have_the_entries() -> None:
    made = told(*three(), condition_on="source", horizons={STATE: (-1, 0)})
    batch = made.__getitems__([0, 9])
    assert batch[STATE][0].tolist() == [[1, 0, 0, 1, 1], [1, 0, 0, 1, 1]]
    assert batch[STATE][1].tolist() == [[0, 0, 1, 0, 0]] * 2
    assert batch[f"{STATE}_is_pad"].tolist() == [[True, False], [False, False]]


def test_a_key_of_its_own_is_a_feature_that_every_sample_has() -> None:
    made = told(*three(), condition_on="source", condition_key=OWN)
    assert made.schema.features[STATE].shape == (2,)
    batch = made.__getitems__([8, 0])
    assert batch[OWN].tolist() == [[0, 0, 1], [1, 0, 0]]
    assert batch[OWN].dtype == torch.float32
    assert not batch[f"{OWN}_dim_is_pad"].any()
    windowed = told(*three(), condition_on="source", condition_key=OWN, horizons={OWN: (-1, 0)})
    assert windowed[4][OWN].tolist() == [[0, 1, 0], [0, 1, 0]]
    assert OWN not in made.only([STATE])[0]


def test_a_thousand_sources_are_told_apart() -> None:
    many = [source(dataset(1), f"s{i}") for i in range(1001)]
    made = told(*many, condition_on="source")
    assert made.schema.features[STATE].shape == (1002,)
    assert made[4 * 700][STATE].nonzero().flatten().tolist() == [700, 1001]


def test_a_robot_that_runs_live_knows_nothing_of_it() -> None:
    """Its source has its own features, so neither transforms nor observations see the entries."""
    made = told(*three(), condition_on="source")
    own = made.sources[0]
    assert own.features[STATE].shape == (2,)
    live = LiveSource(own, {STATE: own.features[STATE]})
    assert live.observe({STATE: torch.tensor([[7.0, 8.0]])})[STATE].tolist() == [[7, 8]]


def test_entries_without_a_place_are_refused() -> None:
    stateless = [source(dataset(None), "a"), source(dataset(None), "b")]
    with pytest.raises(AlignmentError, match=r"'observation.state', a vector, which is not there. Map one to it"):
        told(*stateless, condition_on="source")
    with pytest.raises(AlignmentError, match=r"which is only in a, b. Keep it with `features: union`"):
        told(*three(), features="intersection", condition_on="source")
    wrench = source(ArrayDataset({"observation.wrench": np.ones((4, 2)), STATE: np.ones((4, 2))}, [4]), "b")
    with pytest.raises(AlignmentError, match=r"condition_key is 'observation.wrench', which b has already"):
        told(source(dataset(2), "a"), wrench, condition_on="group", condition_key="observation.wrench")
    with pytest.raises(AlignmentError, match=r"which b has already.*leave theirs out with feature_map") as error:
        told(
            source(dataset(2), "a"),
            wrench,
            features="intersection",  # drops it, and the samples of b would have it all the same
            condition_on="source",
            condition_key="observation.wrench",
        )
    assert "{observation.wrench: null}" in str(error.value)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"condition_on": "sources"}, "dataset.condition_on: found 'sources', expected 'source' or 'group'"),
        ({"condition_on": "source", "condition_as": "onehot"}, "Did you mean 'one_hot'"),
        ({"condition_as": "index"}, "dataset.condition_as: has no effect without `condition_on`"),
        ({"condition_key": OWN}, "dataset.condition_key: has no effect without `condition_on`"),
        ({"condition_on": "group", "condition_key": "robot"}, "a name of its own such as 'observation.embodiment'"),
        ({"condition_on": "group", "condition_key": "observations.state"}, "Did you mean 'observation.state'"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_key(block: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        MixtureConfig.from_dict({"datasets": [{"root": "a"}], **block})
    assert message in str(error.value)
