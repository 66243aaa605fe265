"""YAML and JSON read strictly: what values mean, and that no input leads anywhere but to an error with its place."""

import math
from pathlib import Path
from typing import Any

import pytest

from robomix.documents import parse_value, read_document
from robomix.errors import ConfigError


def read(folder: Path, text: str | bytes, name: str = "mix.yaml") -> dict[str, Any]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_document(path)


def refusal(folder: Path, text: str | bytes, name: str = "mix.yaml") -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, name)
    return str(caught.value).replace(str(folder) + "/", "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5), ("1_000", 1000), ("-3", -3), (".5", 0.5), ("true", True), ("null", None), ("~", None),
        ("yes", "yes"), ("on", "on"), ("12:30", "12:30"), ("2024-01-01", "2024-01-01"), ("007", "007"),
        ("1.2.3", "1.2.3"), ("0x10", "0x10"), ("'1'", "1"), ("[0, 1]", [0, 1]), ('["A","B"]', ["A", "B"]),
        ("{a: 1}", {"a": 1}),
        ("[1", "[1"), ("!!python/name:os.system", "!!python/name:os.system"), ("", ""), (".inf", math.inf),
    ],
)  # fmt: skip
def test_values_follow_yaml_1_2(text: str, value: Any) -> None:
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    text = "base: &b {weight: 1, root: x}\nlist: [*b, {<<: *b, weight: 2}, {<<: [{k: 1}, *b]}]\n"
    shared = {"weight": 1, "root": "x"}
    assert read(tmp_path, text)["list"] == [shared, shared | {"weight": 2}, shared | {"k": 1}]


def test_json_is_known_by_suffix_or_brace(tmp_path: Path) -> None:
    assert read(tmp_path, '{"a":\t1e-5}', "a.json") == {"a": 1e-5}
    assert read(tmp_path, '{"a":\t1}', "a") == {"a": 1}
    assert read(tmp_path, "\ufeffa: 1", "a.yml") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("", "mix.yaml", "mix.yaml: the file is empty."),
        ("# nothing\n", "mix.yaml", "mix.yaml: the file is empty."),
        (" ", "mix.json", "mix.json: the file is empty."),
        ("- a\n", "mix.yaml", "mix.yaml: holds a list at the top."),
        ("42", "mix.json", "mix.json: holds a single value at the top."),
        ("a:\n\tb: 1\n", "mix.yaml", "mix.yaml:2:1: not YAML: "),
        ("a: [1\n", "mix.yaml", "mix.yaml:2:1: not YAML: "),
        ("a: 1\nb: 2\na: 3\n", "mix.yaml", "mix.yaml:3:1: the key 'a' stands twice."),
        ('{"a": {"b": 1, "b": 2}}', "mix.json", "mix.json: the key 'b' stands twice"),
        ('{\n"a": 1,}', "mix.json", "mix.json:2:8: not JSON: "),
        ("a: *x\n", "mix.yaml", "mix.yaml:1:4: not YAML: found undefined alias 'x'"),
        ("a: &x [*x]\n", "mix.yaml", "mix.yaml:1:4: an alias refers to what it is part of"),
        ("a: 1\n---\nb: 2\n", "mix.yaml", "mix.yaml:2:1: not YAML: expected a single document"),
        ("a: !!python/object:os.x {}\n", "mix.yaml", "mix.yaml:1:4: the tag"),
        ("a: !!timestamp x\n", "mix.yaml", "mix.yaml:1:4: 'x' cannot have the tag"),
        ("a: !!int ''\n", "mix.yaml", "mix.yaml:1:4: '' cannot have the tag"),
        ("? [a]\n: 1\n", "mix.yaml", "mix.yaml:1:3: a key must be a single word"),
        ("<<: 3\n", "mix.yaml", "mix.yaml:1:5: `<<` takes a mapping"),
        (b"\x93NUMPY\x01\x00v\x00", "mix.yaml", "mix.yaml:1: is not text (byte 0x93 is not UTF-8)"),
        ("a: 1\nb: \x00\n", "mix.yaml", "mix.yaml:2: is not text"),
        ("a: " + "[" * 100 + "]" * 100, "mix.yaml", "mix.yaml: lists or mappings are nested too deeply"),
        ("a: " + "[" * 100_000, "mix.yaml", "mix.yaml: lists or mappings are nested too deeply"),
        ('{"a": ' + "[" * 5000 + "]" * 5000 + "}", "mix.json", "mix.json: lists or mappings are nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "mix.json", "mix.json: not JSON: "),
    ],
    ids=range(24),
)
def test_what_cannot_be_read_names_file_and_place(tmp_path: Path, text: str | bytes, name: str, expected: str) -> None:
    assert refusal(tmp_path, text, name).startswith(expected)


def test_a_bomb_of_aliases_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 20)]
    assert "aliases expand to more than" in refusal(tmp_path, "\n".join(lines))


def test_a_file_that_is_not_there_a_folder_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_document(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="is a folder"):
        read_document(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_document("a\0b")
    assert "larger than" in refusal(tmp_path, b"#" * (9 << 20))
