"""The loader profile: numbers that agree with each other, and advice that follows from them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from robomix.cli.main import main
from robomix.tools.bench import run as bench_run
from robomix.tools.bench.advice import advise
from robomix.tools.bench.result import Bench, Pace
from robomix.tools.bench.run import is_worth_more, worker_counts
from robomix.tools.bench.table import summary, tables
from robomix.tools.plan.trial import Trial
from tests.fixtures import write_v30

DECODE_BOUND = {"tables": 0.5, "decode": 8.0, "transforms": 1.0, "collate": 0.5}


def pace(workers: int, samples: int, reading_s: float = 10.0) -> Pace:
    """`samples` in 10 seconds, in each of which every worker read."""
    share = reading_s / 10.0 * max(1, workers)
    return Pace(workers, 1, samples, 10.0, {phase: seconds * share for phase, seconds in DECODE_BOUND.items()})


def trial(step_s: float) -> Trial:
    return Trial("cuda", step_s, 10, 1000, 4000, 8000, 12000, None)


def profile(**changes: object) -> Bench:
    """8 samples a batch; 10 samples/s for each worker of a machine of 4 cores, of which 80 % are decoding."""
    made = Bench(
        origin="mix.yaml",
        batch_size=8,
        cores=4,
        alone=pace(0, 100),
        paces=(pace(0, 100), pace(1, 100), pace(2, 200), pace(4, 390)),
        cameras=2,
        frames_per_sample=2.0,
        decoded_per_frame=4.0,
        resizes=False,
        windowed=False,
        far=False,
        trial=None,
        no_trial="the file names no policy",
    )
    return replace(made, **changes)


def test_shares_are_of_the_time_of_reading() -> None:
    alone = profile().alone
    assert sum(alone.shares().values()) == pytest.approx(1)
    assert alone.shares()["decode"] == pytest.approx(0.8)


def test_the_decode_limit_is_that_of_all_cores() -> None:
    assert profile().decode_limit == pytest.approx(4 * 100 / 8.0)
    assert profile(frames_per_sample=0.0).decode_limit is None


def test_time_that_workers_do_not_read_is_handing_over() -> None:
    assert pace(2, 100, reading_s=6.0).handing_over == pytest.approx(0.4)
    assert pace(0, 100, reading_s=6.0).handing_over == 0


def test_a_slow_policy_limits_and_asks_for_few_workers() -> None:
    found = profile(trial=trial(step_s=1.0))  # 8 samples/s; reading in the process itself would halve that
    assert (found.needed, found.limit, found.recommended.workers) == (8.0, "policy", 1)
    assert found.trained(found.paces[0]) == pytest.approx(1 / (1 / 10 + 1 / 8))
    assert advise(found) == []
    assert "The policy limits: the policy takes 8 samples/s" in summary(found)


def test_reading_that_is_fast_only_while_the_policy_waits_limits() -> None:
    """Pictures that are dear to hand over: workers read 6 samples/s, the process itself 10, and the policy takes 8."""
    found = profile(paces=(pace(0, 100), pace(1, 50), pace(2, 60)), trial=trial(step_s=1.0))
    assert (found.limit, found.recommended.workers) == ("reading", 2)
    assert "reading gives 6, so it waits 25% of the time" in summary(found)
    assert advise(found)


def test_a_fast_policy_waits_and_gets_advice_by_what_was_measured() -> None:
    found = profile(trial=trial(step_s=0.1))  # 80 samples/s
    assert (found.limit, found.recommended.workers) == ("reading", 4)
    assert "it waits 51% of the time" in summary(found)
    materialize, window, camera, cores = advise(found)
    assert materialize.what.startswith("robomix materialize")
    assert materialize.gain == pytest.approx(5)  # 80 % of the time gone
    assert window.what.startswith("shuffle_window")
    assert window.gain == pytest.approx(2.5)  # of 80 %, three of four frames gone: 60 %
    assert (camera.gain, camera.at_most) == (pytest.approx(1 / 0.6), False)
    assert cores.gain == pytest.approx(80 / 39)
    assert len(list(tables(found, advise(found)))) == 3


def test_nothing_is_advised_that_does_not_matter() -> None:
    whats = [item.what for item in advise(profile(cameras=1, decoded_per_frame=1.1))]
    assert len(whats) == 1
    assert whats[0].startswith("robomix materialize")
    shares = {"tables": 4.0, "decode": 0.0, "transforms": 1.0, "collate": 4.0}
    of_numbers = replace(profile().alone, phases_s=shares)
    assert advise(profile(alone=of_numbers, cameras=0, frames_per_sample=0.0, decoded_per_frame=None)) == []


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("transforms", "the sources' transforms, made faster"),
        ("image transforms", "fewer image_transforms"),
    ],
)
def test_each_phase_that_takes_most_of_the_time_is_advised_on(phase: str, words: str) -> None:
    alone = replace(profile().alone, phases_s={"decode": 2.0, phase: 8.0})
    (item,) = advise(profile(alone=alone))
    assert item.what.startswith(words)
    assert item.gain == pytest.approx(5)


def test_without_a_policy_nothing_is_said_to_limit() -> None:
    found = profile()
    assert (found.limit, found.needed, found.recommended.workers) == (None, None, 4)
    assert "is not known: the file names no policy" in summary(found)


def test_more_workers_are_tried_only_while_they_help_and_are_needed() -> None:
    assert list(worker_counts(1)) == [0, 1]
    assert list(worker_counts(6)) == [0, 1, 2, 4, 6]
    assert is_worth_more([pace(0, 100), pace(1, 100), pace(2, 190)], None)
    assert not is_worth_more([pace(0, 100), pace(1, 100), pace(2, 103)], None)
    assert not is_worth_more([pace(0, 100), pace(1, 100), pace(2, 190)], needed=10)


def test_a_profile_of_a_dataset_adds_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_v30(tmp_path / "set", lengths=(12, 9))
    mix = tmp_path / "mix.yaml"
    mix.write_text(f"dataset: {{datasets: [{{root: {tmp_path / 'set'}}}]}}\n")
    monkeypatch.setattr(bench_run, "usable_cores", lambda: 1)
    assert main(["bench", str(mix), "--batch_size=4", "--seconds=0.05", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [pace["workers"] for pace in found["paces"]] == [0, 1]
    for measured in (found["alone"], *found["paces"]):
        assert sum(measured["shares"].values()) == pytest.approx(1)
        assert measured["samples"] % 4 == 0
        assert measured["samples_per_s"] == pytest.approx(measured["samples"] / measured["seconds"])
        assert sum(measured["phases_s"].values()) <= measured["seconds"] * max(1, measured["workers"]) * 1.5
    assert found["frames_per_sample"] == found["cameras"] > 0
    assert found["decoded_per_frame"] > 0
    assert found["decode_limit"] >= found["alone"]["samples_per_s"]
    assert found["recommended_num_workers"] in (0, 1)
    assert "no policy" in found["no_trial"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--sceonds=1"], "unknown flag --sceonds. Did you mean '--seconds'?"),
        (["--seconds=0"], "--seconds: found 0.0, expected a number of seconds, more than 0"),
        (["--seconds=nan"], "--seconds: found nan"),
        (["--seconds=inf"], "--seconds: found inf"),
        (["--policy.type=actt"], "policy.type"),
    ],
)
def test_flags_that_are_wrong_are_named(
    flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_v30(tmp_path / "set", lengths=(5,))
    (tmp_path / "mix.yaml").write_text(f"dataset: {{datasets: [{{root: {tmp_path / 'set'}}}]}}\n")
    assert main(["bench", str(tmp_path / "mix.yaml"), *flags]) == 2
    assert told in capsys.readouterr().err
