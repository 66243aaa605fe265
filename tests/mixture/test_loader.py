"""The loader: the same global batches for any number of ranks and workers, and from any step on."""

import multiprocessing
import signal
from contextlib import closing

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from robomix import collate
from robomix.errors import ConfigError, FormatError
from robomix.formats.base import FrameGroup
from robomix.mixture.dataset import Mixture
from robomix.mixture.loader import make_loader
from robomix.mixture.resolve import shares, streams
from robomix.mixture.schedule import Schedule
from tests.memory import ArrayDataset, mixture, source


def arrays(lengths: list[int], width: int, seed: int) -> ArrayDataset:
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    return ArrayDataset(
        {
            "action": rng.normal(size=(n, width)).astype(np.float32),
            "observation.images.top": rng.integers(0, 256, (n, 3, 4, 4), dtype=np.uint8),
        },
        lengths,
    )


def jitter(image: torch.Tensor) -> torch.Tensor:
    return image + torch.randint_like(image, 20)


@pytest.fixture
def made() -> Mixture:
    parts = [source(arrays([30, 20], 3, 0), "a", weight=2.0), source(arrays([7], 5, 1), "b", weight=1.0)]
    return mixture(*parts, horizons={"action": range(3)}, image_transform=jitter)


@pytest.fixture
def schedule(made: Mixture) -> Schedule:
    return Schedule(streams(made.sources, 0.0), seed=3, batch_size=12)


def equal(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(
        torch.equal(a[key], b[key]) if torch.is_tensor(a[key]) else a[key] == b[key] for key in a
    )


def joined(parts: list[dict]) -> dict:
    return {
        key: torch.cat([p[key] for p in parts])
        if torch.is_tensor(parts[0][key])
        else [v for p in parts for v in p[key]]
        for key in parts[0]
    }


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_share_out_the_batches_of_one(made: Mixture, schedule: Schedule, world_size: int) -> None:
    whole = list(make_loader(made, schedule, stop=4))
    ranks = [list(make_loader(made, schedule, stop=4, rank=rank, world_size=world_size)) for rank in range(world_size)]
    for t in range(4):
        assert equal(whole[t], joined([rank[t] for rank in ranks]))


def test_workers_change_nothing(made: Mixture, schedule: Schedule) -> None:
    alone = list(make_loader(made, schedule, stop=5))
    for workers in (1, 2):
        many = list(make_loader(made, schedule, stop=5, num_workers=workers))
        assert all(equal(x, y) for x, y in zip(alone, many, strict=True))


def test_resuming_at_any_step_continues_the_uninterrupted_run(made: Mixture, schedule: Schedule) -> None:
    whole = list(make_loader(made, schedule, stop=8))
    for start in range(8):
        rest = list(make_loader(made, schedule, start=start, stop=8))
        assert len(rest) == 8 - start
        assert all(equal(x, y) for x, y in zip(whole[start:], rest, strict=True))


def test_a_batch_that_cannot_be_shared_equally_is_refused(made: Mixture, schedule: Schedule) -> None:
    with pytest.raises(ConfigError, match="12 cannot be shared equally by 5 ranks"):
        make_loader(made, schedule, stop=1, world_size=5)


def test_a_plain_data_loader_works_and_says_what_it_needs(made: Mixture) -> None:
    batch = next(iter(DataLoader(made, batch_size=4, collate_fn=collate)))
    assert tuple(batch["action"].shape) == (4, 3, 5)
    with pytest.raises(TypeError, match=r"collate_fn=robomix\.collate"):
        next(iter(DataLoader(made, batch_size=4)))


def test_weights_are_shares_and_alpha_multiplies_by_size(made: Mixture) -> None:
    assert [s.probability for s in streams(made.sources, 0.0)] == pytest.approx([2 / 3, 1 / 3])
    assert [s.probability for s in streams(made.sources, 1.0)] == pytest.approx([100 / 107, 7 / 107])
    assert [s.probability for s in streams(made.sources, 0.5)] == pytest.approx(
        [2 * 50**0.5 / (2 * 50**0.5 + 7**0.5), 7**0.5 / (2 * 50**0.5 + 7**0.5)]
    )


def test_weights_of_the_document_come_out_as_56_28_16_percent() -> None:
    parts = [source(arrays([10], 2, 0), f"at {weight}", weight=weight) for weight in (1.0, 0.5, 0.3)]
    assert [s.probability for s in streams(parts, 0.0)] == pytest.approx([0.5556, 0.2778, 0.1667], abs=1e-4)


def test_the_table_counts_source_epochs(made: Mixture, schedule: Schedule) -> None:
    rows = shares(made.sources, schedule)
    assert rows[1].epochs_per_10k_steps == pytest.approx(10_000 * 12 / 3 / 7, rel=1e-3)
    assert (rows[0].frames, rows[0].episodes, rows[0].fps) == (50, 2, 10.0)


def test_a_weight_of_zero_draws_nothing() -> None:
    parts = [source(arrays([10], 2, 0), "a"), source(arrays([10], 2, 1), "b", weight=0.0)]
    made = mixture(*parts)
    schedule = Schedule(streams(parts, 0.0), seed=0, batch_size=8)
    batches = list(make_loader(made, schedule, stop=5))
    assert all((batch["dataset_index"] == 0).all() for batch in batches)


class Broken(ArrayDataset):
    """A camera whose file breaks while the training runs."""

    def frame_groups(self, key: str, rows: np.ndarray) -> list[FrameGroup]:
        raise FormatError("top.mp4 is cut off")


def broken() -> tuple[Mixture, Schedule]:
    part = source(Broken({"observation.images.top": np.zeros((9, 3, 4, 4), dtype=np.uint8)}, [9]), "a")
    return mixture(part), Schedule(streams([part], 0.0), seed=0, batch_size=2)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_reads_the_same_whether_a_worker_found_it_or_not(workers: int) -> None:
    with closing(make_loader(*broken(), stop=3, num_workers=workers)) as loader, pytest.raises(FormatError) as error:
        list(loader)
    assert str(error.value) == "top.mp4 is cut off"


def deaf(_: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def test_closing_ends_workers_that_heed_no_signal(made: Mixture, schedule: Schedule) -> None:
    before = multiprocessing.active_children()
    loader = make_loader(made, schedule, stop=100, num_workers=1, worker_init_fn=deaf)
    batches = iter(loader)  # still held, as the frames of an error would hold it
    next(batches)
    workers = [process for process in multiprocessing.active_children() if process not in before]
    loader.close()
    assert [worker.is_alive() for worker in workers] == [False]


def test_other_episodes_of_the_same_length_are_not_the_same_order() -> None:
    first, second = (source(arrays([5, 5], 2, 0), "a", episodes=[e]) for e in (0, 1))
    state = Schedule(streams([first], 0.0), seed=0, batch_size=2).state(3)
    assert Schedule(streams([first], 0.0), seed=0, batch_size=2).resume(state) == 3
    with pytest.raises(ConfigError, match=r"source .a.: its content or its chosen episodes"):
        Schedule(streams([second], 0.0), seed=0, batch_size=2).resume(state)
