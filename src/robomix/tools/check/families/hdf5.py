"""Family H: HDF5 recordings of robomimic and ALOHA, and whether other formats than LeRobot's can be read."""

from collections import Counter
from collections.abc import Callable, Iterator

from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, UnverifiableError, Verdict
from robomix.tools.check.raw.hdf5 import Demonstration, json_problem
from robomix.tools.check.raw.other import RawOther
from robomix.tools.check.raw.values import number, some

DEFECTS = defects(
    Defect(
        "H01",
        "dataset that cannot be read",
        Verdict.FAIL,
        Depth.META,
        "No training can use it as it is.",
    ),
    Defect(
        "H02",
        "arrays of an episode differ in length",
        Verdict.FAIL,
        Depth.META,
        "Actions and observations of the episode do not belong together, and robomix refuses the file.",
        Repair.FLAG,
        "drop_episodes",
    ),
    Defect(
        "H03",
        "num_samples or total is wrong",
        Verdict.FAIL,
        Depth.META,
        "robomimic draws frames that do not exist, or never draws the last ones.",
        Repair.CERTAIN,
    ),
    Defect(
        "H04",
        "mask that names demonstrations that do not exist",
        Verdict.FAIL,
        Depth.META,
        "A training or validation with that filter stops.",
        Repair.CERTAIN,
    ),
    Defect(
        "H05",
        "episode without actions",
        Verdict.FAIL,
        Depth.META,
        "There is nothing to learn from it, and readers stop.",
        Repair.FLAG,
        "drop_episodes",
    ),
    Defect(
        "H06",
        "env_args is not JSON",
        Verdict.WARN,
        Depth.META,
        "The simulator and the rate it was recorded in are unknown: the policy cannot be evaluated there.",
    ),
    Defect(
        "H07",
        "episode of one frame or none",
        Verdict.WARN,
        Depth.META,
        "It holds no motion; where there is no frame at all, readers stop.",
        Repair.FLAG,
        "drop_episodes",
    ),
    Defect(
        "H08",
        "something in it is not read",
        Verdict.INFO,
        Depth.META,
        "What is left out cannot be observed or acted on by a policy.",
    ),
)


def unreadable(raw: RawOther) -> Iterator[Finding]:
    """With the reader's own reason, unless what lies in the file tells it better."""
    if isinstance(raw.opened, str):
        try:
            told = raw.is_hdf5 and any(f.level is Verdict.FAIL for look in _STRUCTURE for f in look(raw))
        except UnverifiableError:
            told = False
        if not told:
            yield Finding(DEFECTS["H01"], found=raw.opened, expected="a dataset that can be read")


def lengths(raw: RawOther) -> Iterator[Finding]:
    yield from _each(raw, "H02", _unequal, "as many rows in each array of an episode")


def _unequal(demonstration: Demonstration, actions: str) -> str | None:
    rows = demonstration.lengths.get(actions)
    odd = {name: n for name, n in demonstration.lengths.items() if n != rows and not _is_constant(name)}
    if rows is None or not odd:
        return None
    name = min(odd)
    return f"{name} has {odd[name]:,} rows, {actions} has {rows:,}"


def _is_constant(name: str) -> bool:
    """Arrays of ALOHA that have a row for each camera, not for each frame."""
    return name == "compress_len"


def declared(raw: RawOther) -> Iterator[Finding]:
    found = raw.demonstrations
    wrong = {
        one.id: f"{one.name} says num_samples {one.num_samples!r}, but has {one.lengths[found.actions]:,} actions"
        for one in found.every
        if one.num_samples is not None and one.num_samples != one.lengths.get(found.actions, one.num_samples)
    }
    if wrong:
        yield _finding("H03", wrong, "num_samples = rows of the actions")
    total = sum(one.lengths.get(found.actions, 0) for one in found.every)
    if found.total is not None and found.total != total:
        yield Finding(
            DEFECTS["H03"], found=f"data says total {found.total!r}, but all episodes have {total:,} actions together",
            expected="total = sum of num_samples",
        )  # fmt: skip


def masks(raw: RawOther) -> Iterator[Finding]:
    found = raw.demonstrations
    ids = {one.id for one in found.every}
    for name, members in (found.masks or {}).items():
        missing = [f"demo_{number}" for number in members if number not in ids]
        if missing:
            yield Finding(
                DEFECTS["H04"], found=f"mask/{name} lists {some(missing)}, which are not in data",
                expected="names of demonstrations in data", key=f"mask/{name}",
            )  # fmt: skip
    for problem in found.odd_masks:
        expected = "a list of names of demonstrations"
        yield Finding(DEFECTS["H04"], problem, expected, verdict=Verdict.WARN, mendable=False)


def without_actions(raw: RawOther) -> Iterator[Finding]:
    def look(demonstration: Demonstration, actions: str) -> str | None:
        return (
            None if actions in demonstration.lengths else f"it has {some(sorted(demonstration.lengths)) or 'nothing'}"
        )

    yield from _each(raw, "H05", look, "an array of actions in each episode")


def environment(raw: RawOther) -> Iterator[Finding]:
    text = raw.demonstrations.env_args
    if text is not None and (problem := json_problem(text)):
        yield Finding(
            DEFECTS["H06"],
            found=f"env_args of data: {problem}",
            expected="a JSON object with env_name, type, env_kwargs",
        )


def short(raw: RawOther) -> Iterator[Finding]:
    found = raw.demonstrations
    by_length = {one.id: one.lengths.get(found.actions) for one in found.every}
    for rows, verdict in ((0, Verdict.FAIL), (1, Verdict.WARN)):
        episodes = tuple(episode for episode, length in by_length.items() if length == rows)
        if episodes:
            yield Finding(
                DEFECTS["H07"], found=f"{number(len(episodes), 'episode')} of {number(rows, 'frame')}",
                expected="episodes that show a motion", episodes=episodes, verdict=verdict,
            )  # fmt: skip


def left_out(raw: RawOther) -> Iterator[Finding]:
    if isinstance(raw.opened, str):
        return
    texts = Counter(raw.opened.warnings)
    for text in texts:
        yield Finding(DEFECTS["H08"], found=text, expected="nothing that is left out")


def _each(raw: RawOther, id: str, look: Callable[[Demonstration, str], str | None], expected: str) -> Iterator[Finding]:
    """One finding for all episodes in which `look` sees something, which it says in words."""
    found = raw.demonstrations
    odd = {one.id: f"{one.name}: {what}" for one in found.every if (what := look(one, found.actions))}
    if odd:
        yield _finding(id, odd, expected)


def _finding(id: str, odd: dict[int, str], expected: str) -> Finding:
    more = f" ({len(odd):,} such episodes)" if len(odd) > 1 else ""
    return Finding(DEFECTS[id], odd[min(odd)] + more, expected, episodes=tuple(sorted(odd)))


_STRUCTURE = (lengths, declared, masks, without_actions, short)

HDF5 = Family(
    "HDF5 recordings",
    DEFECTS,
    tuple(
        Check((id,), Depth.META, run)
        for id, run in (
            ("H02", lengths),
            ("H03", declared),
            ("H04", masks),
            ("H05", without_actions),
            ("H06", environment),
            ("H07", short),
        )
    ),
)
"""For files of robomimic and ALOHA."""

OTHER = Family(
    "other formats", DEFECTS, (Check(("H01",), Depth.META, unreadable), Check(("H08",), Depth.META, left_out))
)
"""For whatever is not LeRobot's."""
