"""What a sample holds: keys, shapes, dtypes, padding and masks, against the arrays it comes from."""

import numpy as np
import pytest
import torch

from robomix.mixture.dataset import Mixture
from tests.memory import ArrayDataset, mixture, source

ARM_LENGTHS, HAND_LENGTHS = [5, 3], [4, 2, 6]


@pytest.fixture
def arm() -> ArrayDataset:
    """6-dim state, 7-dim action, one camera."""
    rng = np.random.default_rng(0)
    n = sum(ARM_LENGTHS)
    return ArrayDataset(
        {
            "observation.state": rng.normal(size=(n, 6)).astype(np.float32),
            "action": rng.normal(size=(n, 7)).astype(np.float32),
            "observation.images.top": rng.integers(0, 256, (n, 3, 4, 6), dtype=np.uint8),
        },
        ARM_LENGTHS,
        fps=10,
        tasks=["pick", "place"],
        task_of_row=np.array([0, 0, 0, 0, 0, 1, 1, 1]),
        robot_type="arm",
    )


@pytest.fixture
def hand() -> ArrayDataset:
    """2-dim state and action in float64, no camera, a reward."""
    rng = np.random.default_rng(1)
    n = sum(HAND_LENGTHS)
    return ArrayDataset(
        {
            "observation.state": rng.normal(size=(n, 2)),
            "action": rng.normal(size=(n, 2)),
            "next.reward": rng.normal(size=n),
        },
        HAND_LENGTHS,
        fps=50,
        tasks=["push", "pick"],
        task_of_row=np.array([0] * 6 + [1] * 6),
        robot_type="hand",
        ids=[3, 7, 8],
    )


@pytest.fixture
def both(arm: ArrayDataset, hand: ArrayDataset) -> Mixture:
    return mixture(source(arm, "arm"), source(hand, "hand"), horizons={"action": range(4)})


def test_all_samples_have_the_same_keys_shapes_and_dtypes(both: Mixture) -> None:
    described = [
        {key: (tuple(v.shape), v.dtype) if torch.is_tensor(v) else type(v) for key, v in both[i].items()}
        for i in range(len(both))
    ]
    assert all(one == described[0] for one in described)
    assert described[0] == {
        "observation.state": ((6,), torch.float32),
        "observation.state_dim_is_pad": ((6,), torch.bool),
        "action": ((4, 7), torch.float32),
        "action_is_pad": ((4,), torch.bool),
        "action_dim_is_pad": ((7,), torch.bool),
        "observation.images.top": ((3, 4, 6), torch.uint8),
        "observation.images.top_is_pad": ((), torch.bool),
        "next.reward": ((), torch.float64),
        "next.reward_is_pad": ((), torch.bool),
        "frame_index": ((), torch.int64),
        "episode_index": ((), torch.int64),
        "task_index": ((), torch.int64),
        "timestamp": ((), torch.float32),
        "task": str,
        "dataset_index": ((), torch.int64),
        "index": ((), torch.int64),
    }


def test_vectors_are_padded_at_the_end_and_masks_say_where(both: Mixture, hand: ArrayDataset) -> None:
    sample = both[8]
    assert sample["dataset_index"] == 1
    assert np.array_equal(sample["observation.state"][:2], hand.column("observation.state")[0].astype(np.float32))
    assert not sample["observation.state"][2:].any()
    assert sample["observation.state_dim_is_pad"].tolist() == [False] * 2 + [True] * 4
    assert sample["action_dim_is_pad"].tolist() == [False] * 2 + [True] * 5
    assert not both[0]["action_dim_is_pad"].any()


def test_lacking_features_are_zeros_with_a_mask_that_is_always_there(both: Mixture, arm: ArrayDataset) -> None:
    assert not both[8]["observation.images.top"].any()
    assert both[8]["observation.images.top_is_pad"]
    assert np.array_equal(both[2]["observation.images.top"], arm.column("observation.images.top")[2])
    assert not both[2]["observation.images.top_is_pad"]
    assert both[2]["next.reward_is_pad"]
    assert not both[8]["next.reward_is_pad"]


def test_windows_stop_at_the_episode_end_and_repeat_its_last_frame(both: Mixture, arm: ArrayDataset) -> None:
    sample = both[3]  # frame 3 of an episode of 5
    assert sample["action_is_pad"].tolist() == [False, False, True, True]
    assert np.array_equal(sample["action"], arm.column("action")[[3, 4, 4, 4]])


def test_windows_into_the_past_begin_with_the_first_frame(arm: ArrayDataset) -> None:
    sample = mixture(source(arm), horizons={"observation.images.top": (-2, 0), "observation.state": (-2, -1, 0)})[6]
    assert sample["observation.state_is_pad"].tolist() == [True, False, False]
    assert np.array_equal(sample["observation.state"], arm.column("observation.state")[[5, 5, 6]])
    assert sample["observation.images.top_is_pad"].tolist() == [True, False]
    assert np.array_equal(sample["observation.images.top"], arm.column("observation.images.top")[[5, 6]])


def test_a_lacking_feature_with_a_horizon_is_padding_at_all_steps(both: Mixture, hand: ArrayDataset) -> None:
    blind = mixture(*both.sources, horizons={"observation.images.top": (-1, 0)})
    assert blind[8]["observation.images.top_is_pad"].tolist() == [True, True]
    assert tuple(blind[8]["observation.images.top"].shape) == (2, 3, 4, 6)


def test_indices_are_unique_over_the_mixture_and_frames_local(both: Mixture) -> None:
    samples = [both[i] for i in range(len(both))]
    assert [int(s["index"]) for s in samples] == list(range(20))
    assert [int(s["episode_index"]) for s in samples] == [0] * 5 + [1] * 3 + [2] * 4 + [3] * 2 + [4] * 6
    assert [int(s["frame_index"]) for s in samples] == [0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3, 0, 1, 0, 1, 2, 3, 4, 5]
    assert float(samples[3]["timestamp"]) == pytest.approx(0.3)
    assert float(samples[11]["timestamp"]) == pytest.approx(3 / 50)


def test_tasks_are_merged_by_their_text(both: Mixture) -> None:
    assert both.meta.tasks == ("pick", "place", "push")
    samples = [both[i] for i in (0, 5, 8, 19)]
    assert [s["task"] for s in samples] == ["pick", "place", "push", "pick"]
    assert [int(s["task_index"]) for s in samples] == [0, 1, 2, 0]


def test_a_batch_equals_its_samples_one_by_one(both: Mixture) -> None:
    order = [19, 0, 8, 3, 3, 7, 12]
    batch = both.__getitems__(order)
    for place, i in enumerate(order):
        for key, value in both[i].items():
            assert (batch[key][place] == value) if isinstance(value, str) else torch.equal(batch[key][place], value)


def test_chosen_episodes_are_numbered_in_the_order_chosen(hand: ArrayDataset) -> None:
    made = mixture(source(hand, episodes=[8, 3]))
    assert made.num_episodes == 2
    assert made.num_frames == 10
    assert np.array_equal(made[0]["observation.state"], hand.column("observation.state")[6].astype(np.float32))
    assert np.array_equal(made[6]["observation.state"], hand.column("observation.state")[0].astype(np.float32))
    assert int(made[6]["episode_index"]) == 1


def test_dropped_last_frames_start_no_sample_but_end_windows(arm: ArrayDataset) -> None:
    one = source(arm, drop=2)
    made = mixture(one, horizons={"action": range(3)})
    drawn = made.index_of(np.zeros(4, dtype=np.int64), np.arange(4))
    assert drawn.tolist() == [0, 1, 2, 5]
    assert made[2]["action_is_pad"].tolist() == [False, False, False]


def test_only_reads_the_features_asked_for(both: Mixture) -> None:
    slim = both.only(["action"])
    assert "observation.images.top" not in slim[0]
    assert torch.equal(slim[9]["action"], both[9]["action"])
    assert torch.equal(slim[9]["action_is_pad"], both[9]["action_is_pad"])


def test_meta_has_what_lerobot_looks_for(both: Mixture) -> None:
    assert both.meta.episodes["dataset_from_index"].tolist() == [0, 5, 8, 12, 14]
    assert both.meta.episodes["dataset_to_index"].tolist() == [5, 8, 12, 14, 20]
    assert both.meta.episodes["dataset_source"].tolist() == [0, 0, 1, 1, 1]
    assert both.repo_id_to_index == {"arm": 0, "hand": 1}
    assert both.repo_index_to_id == {0: "arm", 1: "hand"}
    assert (both.num_frames, both.num_episodes, len(both)) == (20, 5, 20)
    assert both.camera_keys == ["observation.images.top"]
    assert both.features["observation.images.top"]["shape"] == (4, 6, 3)
    assert both.dataset_weights == [1.0, 1.0]


def test_negative_indices_count_from_the_end_and_others_are_refused(both: Mixture) -> None:
    assert int(both[-1]["index"]) == 19
    with pytest.raises(IndexError):
        both[20]


def test_augmentation_depends_on_the_draw_and_on_nothing_else(arm: ArrayDataset) -> None:
    from robomix.mixture.dataset import Request

    def noise(image: torch.Tensor) -> torch.Tensor:
        return image + torch.randint_like(image, 50)

    made = mixture(source(arm), image_transform=noise)
    images = made.__getitems__(Request(np.array([1, 1, 2]), np.array([7, 8, 7])))["observation.images.top"]
    again = made.__getitems__(Request(np.array([5, 1]), np.array([1, 7])))["observation.images.top"]
    assert torch.equal(images[0], again[1])
    assert not torch.equal(images[0], images[1])


def test_a_batch_refuses_indices_that_are_not_samples(both: Mixture) -> None:
    for index in (-1, len(both)):
        with pytest.raises(IndexError, match=f"sample {index} of a mixture of"):
            both.__getitems__([0, index])


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "uint32", "uint64", "int64", "float16", "float64"])
def test_every_number_type_comes_as_it_is(dtype: str) -> None:
    values = np.array([[0, 1], [1, 1], [1, 0]]).astype(dtype)
    made = mixture(source(ArrayDataset({"mode": values}, [3]), "a"), source(ArrayDataset({"mode": values}, [3]), "b"))
    batch = made.__getitems__([1, 5])
    assert batch["mode"].numpy().dtype == np.dtype(dtype)
    assert np.array_equal(batch["mode"].numpy(), values[[1, 2]])
