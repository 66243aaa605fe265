"""What `robomix train --help` prints. Keys, types, defaults and texts come from the dataclasses they are about.

Their source is read, not imported: importing LeRobot takes seconds, and help should not.
"""

import ast
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

WIDTH = 100

HEAD = """\
usage: robomix train [--config_path=FILE] [--KEY=VALUE ...]

Trains one LeRobot policy on a mixture of datasets, and writes LeRobot checkpoints.

  robomix train --config_path=mix.yaml --policy.type=act
  robomix train --robomimic_config=exp.json
  robomix train --dataset.repo_id='["me/a", "me/b"]' --policy.type=diffusion --steps=20000
  robomix train --dataset.root=/data/so100_pick --policy.type=act --output_dir=outputs/pick
  robomix train --resume=true --output_dir=outputs/pick
  accelerate launch -m robomix train --config_path=mix.yaml --policy.type=act

--config_path is a YAML or JSON file that may hold any key below. Every key is a flag too, and flags win over the file:
--dataset.alpha=1, --dataset.episodes='[0, 1]', --dataset.datasets.0.weight=2 (by position). A flag alone is true.
--robomimic_config takes a JSON config of robomimic's in its place: its data, weights, observations and algorithm (bc).
What has no effect is named; --policy.type=act trains another policy on the same data.

THE MIXTURE FILE

  dataset:
    features: union
    datasets:
      - repo_id: me/so100_pick              # read from $HF_LEROBOT_HOME/me/so100_pick
        weight: 1.0
      - root: /data/aloha_fold              # or any folder
        weight: 0.5
        episodes: [0, 1, 2]
        feature_map: {observation.images.top: observation.images.front}
        transforms: [{type: resize_images, kwargs: {height: 240, width: 320}}]
  policy: {type: act, chunk_size: 50}
  steps: 20000

In short: `dataset: {repo_id: [me/a, me/b]}`, where `root` is the folder the datasets lie in, or `repo_id: me/a`, where
`root` is the dataset's own folder. Both stand for weight 1, alpha 1 and the intersection of features."""

TAIL = """\
POLICY FLAGS

robomix train --policy.type=act --help lists the flags of a policy: --policy.chunk_size, --policy.device and so on. The
types are bc (robomimic's behaviour cloning) and those of the installed LeRobot, among them act, diffusion,
multi_task_dit, pi0, pi05, smolvla, vqbet, xvla."""


@dataclass(frozen=True)
class Entry:
    """A key as the help shows it."""

    name: str
    kind: str
    default: str
    text: str


def train_help() -> str:
    """The help of `robomix train`."""
    parts = [
        HEAD,
        section("KEYS OF dataset", entries("robomix.config", "MixtureConfig"), "--dataset."),
        section("KEYS OF EACH ENTRY OF dataset.datasets", entries("robomix.config", "SourceConfig"), "- "),
        section("OTHER KEYS", entries("robomix.training.config", "TrainConfig")[1:], "--"),
        TAIL,
    ]
    return "\n\n".join(parts)


def policy_help(argv: Sequence[str]) -> str | None:
    """The flags of the policy `argv` names, None if it names none. Raises ConfigError for an unknown type."""
    kinds = [word.removeprefix("--policy.type=") for word in argv if word.startswith("--policy.type=")]
    kinds += [argv[i + 1] for i, word in enumerate(argv[:-1]) if word == "--policy.type"]
    if not kinds:
        return None
    from robomix.training.choices import policy_entries  # only now: importing LeRobot takes seconds

    found = [Entry(*entry) for entry in policy_entries(kinds[-1])]
    return section(f"FLAGS OF POLICY {kinds[-1]}", found, "--policy.")


def section(title: str, found: Sequence[Entry], prefix: str) -> str:
    """A titled list of keys, each with its type and default, and its text below."""
    lines = [title, ""]
    for entry in found:
        default = f" (default {entry.default})" if entry.default else ""
        lines.append(f"  {prefix}{entry.name}: {entry.kind}{default}")
        lines += textwrap.wrap(entry.text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def entries(module: str, cls: str) -> list[Entry]:
    """The fields of a dataclass a user can set, with the text that stands below each in the source."""
    spec = find_spec(module)
    tree = ast.parse(Path(str(spec and spec.origin)).read_text())
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == cls)
    return list(_entries(body))


def _entries(body: Sequence[ast.stmt]) -> Iterator[Entry]:
    for node, below in zip(body, [*body[1:], ast.Pass()], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        default = ast.unparse(node.value) if node.value else ""
        if "init=False" in default:
            continue
        shown = (
            "" if "(" in default else {"None": "", "True": "true", "False": "false"}.get(default, default.strip("'"))
        )
        text = ast.literal_eval(below.value) if isinstance(below, ast.Expr) else ""
        yield Entry(node.target.id, _words(node.annotation), shown, text)


def _words(hint: ast.expr) -> str:
    """An annotation as a user reads it."""
    if isinstance(hint, ast.BinOp):  # `int | None`: what may be left out says so by its default
        return _words(hint.left)
    if isinstance(hint, ast.Subscript):
        name, inner = ast.unparse(hint.value), hint.slice
        items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if name == "Literal":
            return " | ".join(ast.literal_eval(item) for item in items)
        return f"list of {_words(items[0])}s" if name == "tuple" else "mapping"
    name = ast.unparse(hint)
    plain = {"str": "text", "int": "whole number", "float": "number", "bool": "true | false", "Path": "path"}
    return plain.get(name, "mapping" if name.endswith("Config") else "text")
