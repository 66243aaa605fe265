"""Defects of family A: the statistics that datasets carry."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from robomix.tools.check.finding import Depth
from tests.defects.corpus import Expected, Injection, edit_json, edit_lines, edit_list, injection

INJECTIONS: list[Injection] = []
STATE, CAMERA = "observation.state", "observation.images.top"
Stats = dict[str, dict[str, Any]]


def edit_whole(folder: Path, edit: Callable[[Stats], None]) -> None:
    """Edit stats.json in place."""
    edit_json(folder / "meta/stats.json", edit)


def edit_one(folder: Path, episode: int, edit: Callable[[Stats], None]) -> None:
    """Edit the statistics of an episode in place."""
    if (lines := folder / "meta/episodes_stats.jsonl").exists():
        edit_lines(lines, lambda rows: edit(rows[episode]["stats"]))
        return

    def edit_row(rows: list[dict[str, Any]]) -> None:
        stats: Stats = {}
        for column, value in rows[episode].items():
            if column.startswith("stats/"):
                key, name = column.removeprefix("stats/").rsplit("/", 1)
                stats.setdefault(key, {})[name] = value
        edit(stats)
        rows[episode].update({f"stats/{key}/{name}": v for key, of in stats.items() for name, v in of.items()})

    edit_list(folder, edit_row)


def edit_stats(folder: Path, edit: Callable[[Stats], None]) -> None:
    """Edit what the version keeps: the statistics of the whole, or in v2.1 those of each episode."""
    if (folder / "meta/stats.json").exists():
        edit_whole(folder, edit)
    else:
        edit_lines(folder / "meta/episodes_stats.jsonl", lambda rows: [edit(row["stats"]) for row in rows] and None)


def with_quantiles(stats: Stats, spoil: Callable[[dict[str, list[float]]], None]) -> None:
    """Quantiles for all features, between minimum and maximum; those of the state spoiled."""
    for key, of_key in stats.items():
        if key != CAMERA:
            for name, share in {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}.items():
                pairs = zip(of_key["min"], of_key["max"], strict=True)
                of_key[name] = [low + share * (high - low) for low, high in pairs]
    spoil(stats[STATE])


def scaled(value: Any, factor: float) -> Any:
    return [scaled(inner, factor) for inner in value] if isinstance(value, list) else value * factor


@injection(INJECTIONS, "A01")
def the_file_is_missing(folder: Path) -> None:
    for name in ("stats.json", "episodes_stats.jsonl"):
        (folder / "meta" / name).unlink(missing_ok=True)


@injection(INJECTIONS, "A01")
def a_feature_has_none(folder: Path) -> Expected:
    edit_stats(folder, lambda stats: stats.pop(STATE) and None)
    return Expected(STATE)


@injection(INJECTIONS, "A01")
def they_are_those_of_a_wider_feature(folder: Path) -> Expected:
    edit_stats(folder, lambda stats: stats[STATE].update(mean=[0.0] * 7))
    return Expected(STATE)


@injection(INJECTIONS, "A01")
def a_deviation_is_nan(folder: Path) -> Expected:
    edit_stats(folder, lambda stats: stats[STATE].update(std=[float("nan")] * 3))
    return Expected(STATE)


@injection(INJECTIONS, "A01", ("v2.1", "v3.0"))
def an_episode_counts_other_frames(folder: Path) -> Expected:
    edit_one(folder, 1, lambda stats: stats[STATE].update(count=[99]))
    return Expected(STATE, (1,))


@injection(INJECTIONS, "A01", ("v3.0",))
def the_file_is_no_json(folder: Path) -> None:
    (folder / "meta/stats.json").write_text("{")


@injection(INJECTIONS, "A02", ("v2.0",))
def a_minimum_is_too_low(folder: Path) -> Expected:
    edit_whole(folder, lambda stats: stats[STATE].update(min=[-9.0, -9.0, -9.0]))
    return Expected(STATE)


@injection(INJECTIONS, "A02", ("v3.0",), companions=("A03",))
def a_mean_is_off(folder: Path) -> Expected:
    edit_whole(folder, lambda stats: stats[STATE].update(mean=[v + 0.3 for v in stats[STATE]["mean"]]))
    return Expected(STATE)


@injection(INJECTIONS, "A02", ("v2.1",))
def a_deviation_of_an_episode_is_off(folder: Path) -> Expected:
    edit_one(folder, 2, lambda stats: stats[STATE].update(std=[v + 1 for v in stats[STATE]["std"]]))
    return Expected(STATE, (2,))


@injection(INJECTIONS, "A02", ("v3.0",), companions=("A03",))
def a_maximum_of_an_episode_is_off(folder: Path) -> Expected:
    edit_one(folder, 1, lambda stats: stats["action"].update(max=[5.0, 5.0]))
    return Expected("action", (1,))


@injection(INJECTIONS, "A03", ("v3.0",), depth=Depth.META)
def the_whole_has_another_maximum_than_its_episodes(folder: Path) -> Expected:
    edit_whole(folder, lambda stats: stats[STATE].update(max=[7.0, 7.0, 7.0]))
    return Expected(STATE)


@injection(INJECTIONS, "A04")
def one_feature_has_no_quantiles(folder: Path) -> Expected:
    edit_stats(folder, lambda stats: with_quantiles(stats, lambda of: [of.pop(q) for q in ("q01", "q99")] and None))
    return Expected(STATE)


@injection(INJECTIONS, "A04")
def quantiles_are_out_of_order(folder: Path) -> Expected:
    edit_stats(folder, lambda stats: with_quantiles(stats, lambda of: of.update(q01=of["q99"], q99=of["q01"])))
    return Expected(STATE)


@injection(INJECTIONS, "A04")
def a_quantile_lies_beyond_the_maximum(folder: Path) -> Expected:
    edit_stats(folder, lambda stats: with_quantiles(stats, lambda of: of.update(q99=[9.0, 9.0, 9.0])))
    return Expected(STATE)


@injection(INJECTIONS, "A05")
def pictures_are_counted_from_0_to_255(folder: Path) -> Expected:
    def spoil(stats: Stats) -> None:
        stats[CAMERA] |= {name: scaled(stats[CAMERA][name], 255) for name in ("min", "max", "mean", "std")}

    edit_stats(folder, spoil)
    return Expected(CAMERA)


@injection(INJECTIONS, "A05")
def means_of_pictures_ran_over(folder: Path) -> Expected:
    edit_stats(folder, lambda stats: stats[CAMERA].update(mean=scaled(stats[CAMERA]["min"], 0.5)))
    return Expected(CAMERA)
