"""YAML and JSON files read into plain data: dict, list, str, int, float, bool, None, and nothing else.

Both are read more strictly than their libraries do. A key that stands twice is an error, not the last value. YAML
follows the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): `1e-5` is a number, `yes`, `on`,
`12:30` and `2024-01-01` are text, where PyYAML alone, a YAML 1.1 reader, makes them text, booleans, seconds and dates.
Anchors, aliases and merge keys (`<<`) work, as long as what they expand to stays small.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from robomix.errors import ConfigError

MAX_BYTES = 8 << 20
"""Larger files are refused: this is for configuration, and a YAML file of this size takes minutes to read."""
MAX_VALUES = 1_000_000
"""Values in one YAML file after its aliases are expanded; more is a mistake or an attack."""

MAX_DEPTH = 50
"""Blocks within blocks; no configuration needs as many."""

_CORE = "tag:yaml.org,2002:"
_SCALARS: dict[str, re.Pattern[str]] = {
    "null": re.compile(r"~|null|Null|NULL|"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?(0|[1-9][0-9_]{0,4000})"),
    "float": re.compile(
        r"[-+]?([0-9][0-9_]*\.[0-9]*|\.[0-9]+|[0-9][0-9_]*(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan"
    ),
}
"""Plain scalars with a meaning; every other one is text. Numbers with leading zeros are text: they are names."""


def read_document(path: str | Path, example: str | None = None) -> dict[str, Any]:
    """The mapping a YAML or JSON file holds. By suffix; without a known one, JSON if it begins with a brace.

    `example` is what a file of this kind may hold, for messages; None: a mixture file.

    Raises ConfigError, with file, line and column, for a file that cannot be read or holds anything but a mapping.
    """
    text = _read_text(Path(path))
    suffix = Path(path).suffix.lower()
    is_json = suffix == ".json" or (suffix not in (".yaml", ".yml") and text.lstrip().startswith("{"))
    try:
        data = _parse_json(text) if is_json else _parse_yaml(text)
    except RecursionError:
        raise ConfigError(f"{path}: lists or mappings are nested too deeply to be a configuration") from None
    except _MalformedError as error:
        raise ConfigError(f"{path}{error}") from None
    if data is None:
        hint = "A mixture file begins with `dataset:`." if example is None else f"It holds, for example, {example}."
        raise ConfigError(f"{path}: the file is empty. {hint}")
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else "a single value"
        raise ConfigError(
            f"{path}: holds {kind} at the top. Expected a mapping of keys, such as {example or '`dataset:`'}."
        )
    return data


def parse_value(text: str) -> Any:
    """The value of one flag, read as YAML: `1e-5` is a number, `[0, 1]` a list. What is not YAML is text."""
    try:
        return _parse_yaml(text) if text else text
    except (_MalformedError, RecursionError):
        return text


class _MalformedError(Exception):
    """Not readable; the text begins with `:line:column: ` or `: ` and follows the file's name."""


def _read_text(path: Path) -> str:
    try:
        if path.is_dir():
            raise ConfigError(f"{path}: is a folder. Expected a YAML or JSON file.")
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file. Looked for {path.absolute()}.") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{str(path)!r}: cannot be read: {error}") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: is larger than {MAX_BYTES >> 20} MiB. That is no configuration file.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not text (byte {raw[error.start]:#04x} is not UTF-8)") from None


def _parse_json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        block = dict(pairs)
        if len(block) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise _MalformedError(
                f": the key {twice!r} stands twice in one object, among {', '.join(block)}. Remove one."
            )
        return block

    if not text.strip():
        return None
    try:
        data = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise _MalformedError(f":{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except ValueError as error:  # an integer of more digits than Python converts
        raise _MalformedError(f": not JSON: {error}") from None
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [item for block in level for item in _items(block)]
    if level:
        raise RecursionError
    return data


def _items(block: Any) -> list[Any]:
    return list(block.values()) if isinstance(block, dict) else block if isinstance(block, list) else []


class _Composer(yaml.SafeLoader):
    """PyYAML's reader up to the node graph, with the scalars of `_SCALARS`. It constructs no values."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 PyYAML's own class attribute, emptied for this class


for _name, _pattern in _SCALARS.items():
    _Composer.add_implicit_resolver(_CORE + _name, re.compile(rf"(?:{_pattern.pattern})\Z"), None)
_Composer.add_implicit_resolver(_CORE + "merge", re.compile(r"<<\Z"), None)


def _parse_yaml(text: str) -> Any:
    try:
        node = yaml.compose(text, Loader=_Composer)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = "; ".join(part for part in (error.context, error.problem) if part)
        tab = " Indent with spaces, not tabs." if "'\\t'" in said else ""
        raise _MalformedError(f"{_at(mark)}: not YAML: {said}.{tab}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _MalformedError(f":{line}: is not text: {error.reason} ({error.character!r})") from None
    if node is None:
        return None
    return _Values().of(node)


def _at(mark: Any) -> str:
    return f":{mark.line + 1}:{mark.column + 1}" if mark else ""


class _Values:
    """Plain data of a node graph. An aliased node is built once and shared; sizes and depths count it every time."""

    def __init__(self) -> None:
        self._built: dict[yaml.Node, Any] = {}
        self._sizes: dict[yaml.Node, int] = {}
        self._depths: dict[yaml.Node, int] = {}
        self._open: set[yaml.Node] = set()

    def of(self, node: yaml.Node) -> Any:
        if node in self._built:
            return self._built[node]
        if node in self._open:
            raise _MalformedError(f"{_at(node.start_mark)}: an alias refers to what it is part of")
        self._open.add(node)
        if isinstance(node, yaml.ScalarNode):
            value: Any = _scalar(node)
            self._sizes[node] = 1
        elif isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "seq")
            value = [self.of(child) for child in node.value]
            self._measure(node, node.value)
        else:
            assert isinstance(node, yaml.MappingNode)
            self._check_tag(node, "map")
            value = self._mapping(node)
            self._measure(node, [child for _, child in node.value])
        self._open.discard(node)
        self._built[node] = value
        return value

    def _mapping(self, node: yaml.MappingNode) -> dict[Any, Any]:
        own: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _CORE + "merge":
                merged = self._merge(value_node) | merged
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise _MalformedError(f"{_at(key_node.start_mark)}: a key must be a single word, not a list or mapping")
            key = _scalar(key_node)
            if key in own:
                raise _MalformedError(
                    f"{_at(key_node.start_mark)}: the key {key_node.value!r} stands twice. Remove one."
                )
            own[key] = self.of(value_node)
        return merged | own

    def _merge(self, node: yaml.Node) -> dict[Any, Any]:
        parts = [self.of(child) for child in node.value] if isinstance(node, yaml.SequenceNode) else [self.of(node)]
        block: dict[Any, Any] = {}
        for part in parts:
            if not isinstance(part, dict):
                raise _MalformedError(f"{_at(node.start_mark)}: `<<` takes a mapping or a list of mappings")
            block = part | block
        return block

    def _measure(self, node: yaml.Node, children: list[yaml.Node]) -> None:
        size = 1 + sum(self._sizes.get(child, 1) for child in children)
        if size > MAX_VALUES:
            raise _MalformedError(f"{_at(node.start_mark)}: its aliases expand to more than {MAX_VALUES:,} values")
        self._sizes[node] = size
        self._depths[node] = 1 + max((self._depths.get(child, 0) for child in children), default=0)
        if self._depths[node] > MAX_DEPTH:
            raise RecursionError

    def _check_tag(self, node: yaml.Node, kind: str) -> None:
        if node.tag != _CORE + kind:
            raise _MalformedError(f"{_at(node.start_mark)}: the tag {node.tag!r} is not allowed; write plain values")


def _scalar(node: yaml.ScalarNode) -> Any:
    kind, text = node.tag.removeprefix(_CORE), node.value
    if kind == "str" or kind == "merge":
        return text
    if kind not in _SCALARS or not _SCALARS[kind].fullmatch(text):
        raise _MalformedError(f"{_at(node.start_mark)}: {text!r} cannot have the tag {node.tag!r}; write plain values")
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text.replace("_", ""))
    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
