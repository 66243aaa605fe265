"""The arrows between the rooms go one way: a room imports only from rooms to its left."""

import ast
from pathlib import Path

import pytest

from tests.conftest import PROJECT

SOURCE = PROJECT / "src"
LEVELS: list[set[str]] = [
    {"errors"},
    {"features", "caches", "entries", "rotations"},
    {"summaries", "files", "documents", "problems"},
    {"remote"},
    {
        "formats",
        "video",
        "validation",
        "mixture_rules",
        "mixture_block",
        "frame_rules",
        "weight_rules",
        "prompt_rules",
        "source_names",
    },
    {"config"},
    {"mixture"},
    {"statistics"},
    {"sim"},
    {"training"},
    {"tools"},
    {"report"},
    {"cli", "__main__", "train"},
]
"""From left to right; rooms of one level may know each other."""
FOREIGN = {"lerobot": {"training"}, "lerobot_policy_bc": {"training"}, "draccus": {"training"}, "ray": {"tools"}}
"""Packages, and the only rooms that import them."""


def modules() -> list[Path]:
    return sorted((SOURCE / "robomix").rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Everything a module imports, inside functions too, but not what is for type checkers only."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room(path: Path) -> str:
    return path.relative_to(SOURCE / "robomix").parts[0].removesuffix(".py")


def level(name: str) -> int:
    return next(i for i, rooms in enumerate(LEVELS) if name in rooms)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_from_rooms_to_its_left(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "robomix" and len(parts) > 1:
            assert level(parts[1]) <= level(own), f"{own} imports {name}"
        assert own in FOREIGN.get(parts[0], {own}), f"{own} imports {name}"


def test_the_policy_plug_in_knows_nothing_of_robomix() -> None:
    for path in (SOURCE / "lerobot_policy_bc").rglob("*.py"):
        assert not [name for name in imports(path) if name.split(".")[0] == "robomix"]
