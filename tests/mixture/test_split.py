"""Episodes held out for validation: chosen by content, whatever lies beside them; copies stay on one side."""

import logging
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robomix.config import MixtureConfig
from robomix.errors import ConfigError
from robomix.formats.resampling.dataset import ResampledDataset
from robomix.formats.resampling.plan import plans_of
from robomix.mixture.alignment import align
from robomix.mixture.dataset import Mixture
from robomix.mixture.loader import OrderedBatches
from robomix.mixture.resolve import as_table, shares, streams
from robomix.mixture.schedule import Schedule
from robomix.mixture.source import Source
from robomix.mixture.split import episode_keys, split
from robomix.statistics.compute import mixture_stats
from tests.memory import ArrayDataset, source

WIDTH = 3


def episode(number: int, length: int = 4) -> np.ndarray:
    """The actions of the episode with this number; the same whenever it is asked for."""
    return np.random.default_rng(number).normal(size=(length, WIDTH)).astype(np.float32)


def dataset(numbers: list[int], ids: list[int] | None = None, **more: np.ndarray) -> ArrayDataset:
    actions = [episode(number) for number in numbers]
    return ArrayDataset({"action": np.concatenate(actions), **more}, [4] * len(numbers), ids=ids)


def held(of: Source) -> list[int]:
    """The ids of what is held out, after a look at whether the rest is what is trained on."""
    assert of.held_out is not None
    chosen = of.dataset.episodes.ids[np.sort(np.concatenate([of.ordinals, of.held_out.ordinals]))]
    assert sorted([*of.frames.ids, *of.held_out.frames.ids]) == sorted(chosen)
    return of.held_out.frames.ids.tolist()


def sides(numbers: list[int], val_fraction: float) -> dict[int, bool]:
    """Which episodes are held out of a dataset of these, and of 40 more, so that both sides have some."""
    numbers = [*numbers, *range(100, 140)]
    is_held = set(held(split([source(dataset(numbers))], val_fraction)[0]))
    return {number: e in is_held for e, number in enumerate(numbers)}


def test_the_hash_of_an_episode_is_what_it_always_was() -> None:
    """Another hash would move episodes of old runs from one side to the other."""
    actions = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert [f"{key:x}" for key in episode_keys(ArrayDataset({"action": actions}, [4]), np.arange(1))] == [
        "649fd76be826dac1"
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=30, unique=True),
    st.lists(st.integers(0, 60), min_size=1, max_size=30, unique=True),
    st.floats(0.2, 0.8),
)
def test_episodes_added_removed_and_reordered_move_no_others(one: list[int], other: list[int], share: float) -> None:
    a, b = sides(one, share), sides(other, share)
    common = a.keys() & b.keys()
    assert {n: a[n] for n in common} == {n: b[n] for n in common}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 12), min_size=2, max_size=9), min_size=1, max_size=4),
    st.lists(st.sampled_from([0.0, 0.2, 0.5, None]), min_size=4, max_size=4),
)
def test_copies_of_an_episode_lie_on_one_side(datasets: list[list[int]], fractions: list[float | None]) -> None:
    """In one dataset or in several, whatever share each of them holds out."""
    parts = [
        source(dataset(numbers), f"s{i}", **({} if fractions[i] is None else {"val_fraction": fractions[i]}))
        for i, numbers in enumerate(datasets)
    ]
    refusal = ""
    try:
        made = split(parts, 0.3)
    except ConfigError as error:
        refusal = str(error)
    if refusal:
        assert "held out" in refusal or "holds out none" in refusal
        return
    if made[0].held_out is None:
        return
    train = {datasets[i][e] for i, one in enumerate(made) for e in one.ordinals}
    validation = {datasets[i][e] for i, one in enumerate(made) for e in one.held_out.ordinals}
    assert not train & validation


def test_a_larger_fraction_holds_out_the_same_and_more() -> None:
    numbers = list(range(200))
    few, many = (split([source(dataset(numbers))], share)[0] for share in (0.1, 0.4))
    assert set(held(few)) < set(held(many))
    assert len(held(few)) == pytest.approx(20, abs=10)
    assert len(held(many)) == pytest.approx(80, abs=20)


def test_a_copy_counts_as_one_whatever_its_format_adds() -> None:
    """Doubles for singles, -0 for 0, other ids, and a column more."""
    numbers = list(range(40))
    state = np.random.default_rng(5).normal(size=(160, 2))
    plain = dataset(numbers)
    actions = plain.column("action").astype(np.float64)
    actions[np.abs(actions) < 0.05] = -0.0
    zeroed = ArrayDataset({"action": (actions + 0.0).astype(np.float32)}, [4] * 40)
    copied = ArrayDataset({"observation.state": state, "action": actions}, [4] * 40, ids=range(7, 47))
    np.testing.assert_array_equal(episode_keys(zeroed, np.arange(40)), episode_keys(copied, np.arange(40)))


def test_the_rate_of_the_mixture_moves_nothing() -> None:
    native = dataset(list(range(20)))
    resampled = ResampledDataset(native, Fraction(3), plans_of(native.features, {}, "here"))
    every = np.arange(20)
    assert not np.array_equal(native.episodes.lengths, resampled.episodes.lengths)
    np.testing.assert_array_equal(episode_keys(native, every), episode_keys(resampled, every))


def test_recordings_whose_actions_never_move_are_told_apart_by_their_other_numbers() -> None:
    state = np.arange(16, dtype=np.float32)
    still = ArrayDataset({"action": np.zeros((16, 2)), "observation.state": state}, [4] * 4)
    assert len(np.unique(episode_keys(still, np.arange(4)))) == 4


def test_episodes_without_numbers_are_told_apart_by_their_index() -> None:
    images = {"camera": np.zeros((8, 3, 2, 2), np.uint8)}
    one, other = ArrayDataset(images, [4, 4], ids=[5, 6]), ArrayDataset(images, [4, 4], ids=[6, 8])
    keys = [episode_keys(made, np.arange(2)).tolist() for made in (one, other)]
    assert keys[0][1] == keys[1][0]
    assert len({*keys[0], *keys[1]}) == 3


def test_listed_episodes_are_held_out_and_copies_of_them() -> None:
    first = source(dataset([1, 2, 3, 2], ids=[10, 11, 12, 13]), "first", val_episodes=[11])
    second = source(dataset([7, 2, 8]), "second")
    made = split([first, second], 0.0)
    assert [held(one) for one in made] == [[11, 13], [1]]


def test_the_split_is_of_what_the_filters_leave() -> None:
    chosen = source(dataset(list(range(60))), episodes=list(range(30)), demo_limit=20)
    made = split([chosen], 0.3)[0]
    assert held(made)
    assert set(held(made)) | set(made.frames.ids.tolist()) == set(range(20))


def test_without_a_wish_nothing_changes() -> None:
    plain = source(dataset([1, 2, 3]))
    assert split([plain], 0.0) == [plain]
    assert plain.held_out is None
    assert Mixture([plain], align([plain], "union")).held_out() is None


def mixture_of(val_fraction: float = 0.3, **settings: Any) -> Mixture:
    parts = [source(dataset(list(range(start, start + 30))), name) for name, start in (("a", 0), ("b", 20))]
    made = split(parts, val_fraction)
    return Mixture(made, align(made, "union"), **settings)


def test_frames_that_are_held_out_are_never_drawn() -> None:
    """Three epochs of each source, compared by the values of the samples."""
    mixture = mixture_of()
    schedule = Schedule(streams(mixture.sources, 1.0), seed=0, batch_size=32)
    draws = schedule.draws(0, 3 * mixture.num_frames + 64)
    drawn = mixture.__getitems__(mixture.index_of(draws.source, draws.frame))["action"]
    validation = mixture.held_out()
    assert validation is not None
    kept = validation.__getitems__(range(len(validation)))["action"]
    assert len({tuple(row) for row in drawn.tolist()}) == 4 * len({*range(50)} - held_numbers(mixture))
    assert not {tuple(row) for row in drawn.tolist()} & {tuple(row) for row in kept.tolist()}


def held_numbers(mixture: Mixture) -> set[int]:
    starts = {"a": 0, "b": 20}
    return {starts[one.name] + e for one in mixture.sources for e in held(one)}


def test_the_order_is_another_for_another_split_and_none_for_none() -> None:
    prints = [[s.fingerprint for s in streams(mixture_of(share).sources, 1.0)] for share in (0.0, 0.3, 0.31, 0.6)]
    assert prints[0] == [dataset(list(range(s, s + 30))).fingerprint for s in (0, 20)]
    assert prints[1] != prints[0]
    assert prints[3] != prints[1]


def test_statistics_are_of_the_episodes_that_are_trained_on() -> None:
    mixture = mixture_of()
    trained = sorted({*range(50)} - held_numbers(mixture))
    weights = [1 + (20 <= number < 30) for number in trained]  # those in both sources count twice
    values = np.concatenate([episode(n) for n, times in zip(trained, weights, strict=True) for _ in range(times)])
    stats = mixture_stats(mixture)["global"]["action"]
    np.testing.assert_allclose(stats["mean"], values.mean(0), rtol=1e-5)
    np.testing.assert_allclose(stats["max"], values.max(0))


def test_ranks_share_the_held_out_frames_each_once_in_order() -> None:
    validation = mixture_of().held_out()
    assert validation is not None
    alone = list(OrderedBatches(validation, 5))
    assert np.array_equal(np.concatenate([request.index for request in alone]), np.arange(len(validation)))
    ranks = [OrderedBatches(validation, 5, rank=rank, world_size=3) for rank in range(3)]
    by_number = {n: request for rank in ranks for n, request in zip(rank.numbers, rank, strict=True)}
    assert sorted(by_number) == list(range(len(alone)))
    for number, request in by_number.items():
        assert np.array_equal(request.index, alone[number].index)
        assert len(set(validation.__getitems__(request)["dataset_index"].tolist())) == 1


@pytest.mark.parametrize("ranks", [3, 40])
def test_ranks_that_must_take_as_many_batches_take_the_first_again(ranks: int) -> None:
    validation = mixture_of().held_out()
    assert validation is not None
    alone = list(OrderedBatches(validation, 5))
    assert len(alone) % ranks
    shares = [OrderedBatches(validation, 5, rank=rank, world_size=ranks, even=True) for rank in range(ranks)]
    assert len({len(share) for share in shares}) == 1
    by_number = {n: request for share in shares for n, request in zip(share.numbers, share, strict=True)}
    assert sorted(by_number) == list(range(len(shares[0]) * ranks))
    for number, request in by_number.items():
        assert np.array_equal(request.index, alone[number % shares[0].total].index)


def test_held_out_images_are_not_augmented_and_keep_their_dataset_index() -> None:
    mixture = mixture_of(image_transform=lambda image: image * 0)
    validation = mixture.held_out()
    assert validation is not None
    assert validation.image_transform is None
    assert [one.name for one in validation.sources] == ["a", "b"]
    assert validation.only(["action"])[0].keys() == mixture.only(["action"])[0].keys()


def test_the_table_has_a_column_more_only_where_something_is_held_out() -> None:
    rows = []
    for share in (0.0, 0.3):
        mixture = mixture_of(share)
        rows.append(shares(mixture.sources, Schedule(streams(mixture.sources, 1.0), seed=0, batch_size=8)))
    plain, with_split = (as_table(one) for one in rows)
    assert len(with_split.columns) == len(plain.columns) + 2
    assert rows[1][0].episodes + rows[1][0].held_out_episodes == 30
    assert rows[1][0].held_out_frames == 4 * rows[1][0].held_out_episodes


def test_a_source_with_nothing_left_to_train_on_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'a': all 2 of its episodes are held out .*val_fraction is 0.999.*Lower"):
        split([source(dataset([1, 2]))], 0.999)
    with pytest.raises(ConfigError, match="'a': all 1 of its episodes are held out"):
        split([source(dataset([1]), val_episodes=[0])], 0.0)


def test_a_fraction_that_holds_out_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError, match="none of the 3 episodes"):
        split([source(dataset([1, 2, 3]), val_fraction=1e-9)], 0.0)
    with caplog.at_level(logging.WARNING):
        split([source(dataset([1, 2, 3]), val_fraction=1e-9), source(dataset([4, 5]), "b", val_episodes=[0])], 0.0)
    assert "source 'a': val_fraction 1e-09 holds out none of its 3 episodes" in caplog.text


def test_listed_episodes_must_be_among_the_chosen() -> None:
    with pytest.raises(ConfigError, match=r"'a': val_episodes \[3\] are not among its 2 chosen episodes"):
        split([source(dataset([1, 2, 3, 4]), episodes=[0, 1], val_episodes=[1, 3])], 0.0)


def test_held_out_episodes_too_short_for_the_policy_are_refused() -> None:
    lengths = [4, 20]
    actions = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)
    short = source(ArrayDataset({"action": actions}, lengths), drop=6, val_episodes=[0])
    with pytest.raises(ConfigError, match="no frame of the episodes held out"):
        split([short], 0.0)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"root": "a", "val_fraction": 1.0}, "dataset.val_fraction: found 1.0, expected a share"),
        ({"datasets": [{"root": "a", "val_fraction": -0.1}]}, "(a): found -0.1, expected a share"),
        ({"datasets": [{"root": "a", "val_episodes": []}]}, "(a): found a list [], expected at least one"),
        ({"datasets": [{"root": "a", "val_episodes": [2, 2]}]}, "(a): lists 2 more than once. Each counts once."),
        ({"datasets": [{"root": "a", "val_episodes": [1], "val_fraction": 0.1}]}, "cannot stand beside `val_episodes`"),
        ({"root": "a", "val_episodes": [1]}, "It belongs to an entry of `datasets`."),
        ({"root": "a", "eval_split": 0.1}, "`val_fraction` chooses by content"),
    ],
)
def test_wishes_that_cannot_be_are_refused(block: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MixtureConfig.from_dict(block)
    assert said in str(caught.value)


def test_the_config_survives_a_round_trip() -> None:
    entries = [{"root": "a", "val_episodes": [1, 2]}, {"root": "b", "val_fraction": 0.2}]
    config = MixtureConfig.from_dict({"datasets": entries, "val_fraction": 0.1})
    assert MixtureConfig.from_dict(config.to_dict()) == config
    assert config.datasets[0].val_episodes == (1, 2)
