"""No mixture file and no command line, however wrong, ends in a traceback: exit code 2, and a text naming the fault.

To add a case, add a row to `FILES` or `COMMANDS`: its name, what is typed, and what the message must hold.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from robomix.cli.main import main

POLICY = ("--policy.type=act", "--policy.device=cpu")


def ended(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What `robomix ARGV` says on its way to exit code 2."""
    code = main(argv)
    text = capsys.readouterr().err
    assert code == 2
    assert "Traceback" not in text
    assert text.startswith("robomix")
    return text


def source(entry: str) -> str:
    return f"dataset:\n  datasets:\n    - root: a\n    - {{root: b, {entry}}}\n"


def mixture(entry: str) -> str:
    return f"dataset:\n  repo_id: [me/a, me/b]\n  {entry}\n"


BOMB = "\n".join(["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30))])

FILES: list[tuple[str, str | bytes, tuple[str, ...]]] = [
    # not a document
    ("empty", "", ("mix.yaml: the file is empty",)),
    ("only a comment", "# dataset:\n", ("mix.yaml: the file is empty",)),
    ("not yaml", "dataset: {datasets: [\n", ("mix.yaml:2:1: not YAML",)),
    ("tabs", "dataset:\n\trepo_id: a\n", ("mix.yaml:2:1: not YAML", "spaces, not tabs")),
    ("binary", bytes(range(256)), ("mix.yaml",)),
    ("a parquet file", b"PAR1\x15\x04\x15\xff\xfe\x00PAR1", ("mix.yaml", "not text")),
    ("utf-16", "dataset: {}".encode("utf-16"), ("mix.yaml", "not text")),
    ("a list", "- root: a\n", ("mix.yaml: holds a list at the top",)),
    ("a word", "dataset\n", ("mix.yaml: holds a single value at the top",)),
    ("a bomb", BOMB, ("mix.yaml", "aliases expand to more than")),
    ("a loop", "dataset: &d {datasets: [*d]}\n", ("mix.yaml:1:10", "alias refers to what it is part of")),
    ("too deep", "dataset: " + "[" * 3000 + "]" * 3000, ("nested too deeply",)),
    ("duplicate key", source("weight: 1, weight: 2"), ("mix.yaml:4:", "'weight' stands twice")),
    ("python object", "dataset: !!python/object/apply:os.system [ls]\n", ("mix.yaml:1:10", "the tag")),
    ("two documents", "dataset: {root: a}\n---\npolicy: {}\n", ("mix.yaml:2:1", "single document")),
    # the wrong thing in a place
    ("no dataset", "steps: 10\n", ("dataset: missing",)),
    ("dataset null", "dataset:\n", ("dataset: found null, expected a mapping",)),
    ("dataset a name", "dataset: lerobot/pusht\n", ("dataset: found 'lerobot/pusht', expected a mapping",)),
    ("datasets above dataset", "datasets: [{root: a}]\n", ("datasets: unknown key. It belongs under `dataset:`",)),
    ("misspelt block", "datset: {root: a}\n", ("datset: unknown key. Did you mean 'dataset'?",)),
    ("datasets empty", "dataset: {datasets: []}\n", ("dataset.datasets: found a list [], expected at least one",)),
    ("datasets of names", "dataset: {datasets: [a, b]}\n", ("dataset.datasets[0]: found 'a'", "dataset.datasets[1]")),
    ("datasets a mapping", "dataset: {datasets: {a: {}}}\n", ("dataset.datasets: found a mapping",)),
    ("datasets a number", "dataset: {datasets: 3}\n", ("dataset.datasets: found 3, expected a list",)),
    ("both forms", "dataset: {repo_id: a, datasets: [{root: b}]}\n", ("dataset.repo_id: cannot stand beside",)),
    ("number as key", "dataset: {1: 2, root: a}\n", ("dataset.1: keys are text",)),
    # values of the mixture
    ("features misspelt", mixture("features: onion"), ("dataset.features: found 'onion'", "Did you mean 'union'?")),
    ("alpha negative", mixture("alpha: -1"), ("dataset.alpha: found -1",)),
    ("alpha nan", mixture("alpha: .nan"), ("dataset.alpha: found nan",)),
    ("alpha huge", mixture("alpha: 1e300"), ("dataset.alpha: found 1e+300",)),
    ("alpha a list", mixture("alpha: [1, 0]"), ("dataset.alpha: found a list [1, 0]",)),
    (
        "imagenet stats yes",
        mixture("use_imagenet_stats: yes"),
        ("use_imagenet_stats: found 'yes'", "Write true"),
    ),
    ("normalize_by null", mixture("normalize_by:"), ("dataset.normalize_by: found null, expected 'global'",)),
    ("unknown batching", mixture("batching: per_sorce"), ("dataset.batching: found 'per_sorce'", "'per_source'")),
    ("weight on a list", mixture("weight: 2"), ("dataset.weight: unknown key. It belongs to an entry",)),
    ("image_transforms true", mixture("image_transforms: true"), ("dataset.image_transforms: found true",)),
    ("streaming", mixture("streaming: true"), ("dataset.streaming: found true", "Not supported")),
    ("an address", "dataset: {repo_id: 'https://x/y'}\n", ("dataset.repo_id: found 'https://x/y'",)),
    # values of a source
    (
        "weight text",
        source("weight: '1.0'"),
        ("datasets[1].weight (b): found '1.0' (text)", "Remove the quotes"),
    ),
    ("weight true", source("weight: true"), ("weight (b): found true",)),
    ("weight nan", source("weight: .nan"), ("weight (b): found nan",)),
    ("weight infinite", source("weight: .inf"), ("weight (b): found inf",)),
    ("weight beyond floats", source("weight: 1" + "0" * 400), ("weight (b): found 1000",)),
    ("weight negative", source("weight: -1e-3"), ("weight (b): found -0.001",)),
    ("weights zero", "dataset: {datasets: [{root: a, weight: 0}]}\n", ("every weight is 0",)),
    (
        "episodes a range",
        source("episodes: 0-5"),
        ("episodes (b): found '0-5' (text), expected a list",),
    ),
    ("episodes negative", source("episodes: [1, -1]"), ("episodes[1] (b): found -1",)),
    ("episodes twice", source("episodes: [1, 1]"), ("episodes (b): lists 1 more than once",)),
    ("episodes floats", source("episodes: [0.5]"), ("episodes[0] (b): found 0.5",)),
    ("episodes none", source("episodes: []"), ("episodes (b): found a list []",)),
    ("map to one name", source("feature_map: {x: action, y: action}"), ("maps 'x' and 'y' to the same name 'action'",)),
    ("map to nothing", source("feature_map: {x: ''}"), ("feature_map.x (b): found ''",)),
    ("map to a path", source("feature_map: {x: a/b}"), ("feature_map.x (b): found 'a/b'",)),
    ("map to bookkeeping", source("feature_map: {x: frame_index}"), ("feature_map.x (b): found 'frame_index'",)),
    ("map to a list", source("feature_map: {x: [y]}"), ("feature_map.x (b): found a list ['y']",)),
    ("map as a list", source("feature_map: [x, y]"), ("feature_map (b): found a list ['x', 'y']",)),
    ("transform a name", source("transforms: [pad_action]"), ("transforms[0] (b): found 'pad_action'",)),
    ("transform no type", source("transforms: [{kwargs: {}}]"), ("transforms[0] (b): lacks the key `type`",)),
    ("transform typo", source("transforms: [{typ: x}]"), ("transforms[0].typ (b): unknown key. Did you mean 'type'?",)),
    ("kwargs a list", source("transforms: [{type: x, kwargs: [1]}]"), ("transforms[0].kwargs (b): found a list [1]",)),
    ("no repo_id, no root", "dataset: {datasets: [{weight: 1}]}\n", ("has neither `repo_id` nor `root`",)),
    ("root a number", "dataset: {datasets: [{root: 7}]}\n", ("root: found 7, expected text", "Put it in quotes")),
    ("root empty", "dataset: {datasets: [{root: ''}]}\n", ("root: found ''",)),
    ("escaped NUL in root", 'dataset: {root: "a\\0b"}\n', ("dataset.root: found 'a\\x00b'",)),
    ("unknown key", source("wight: 1"), ("wight (b): unknown key. Did you mean 'weight'?",)),
    ("alpha on a source", source("alpha: 1"), ("alpha (b): unknown key. It belongs to `dataset`",)),
    (
        "same names",
        "dataset: {datasets: [{root: a, name: n}, {root: b, name: n}]}\n",
        ("datasets[1].name (n): 'n'",),
    ),
    # the rest of the file
    ("policy a word", "dataset: {root: a}\npolicy: act\n", ("policy",)),
    ("steps text", "dataset: {root: a}\nsteps: lots\n", ("steps: found 'lots', expected a whole number",)),
    ("steps zero", "dataset: {root: a}\nsteps: 0\n", ("steps: found 0, expected 1 or more",)),
    ("batch size float", "dataset: {root: a}\nbatch_size: 8.0\n", ("batch_size: found 8.0, expected a whole number",)),
    ("seed null", "dataset: {root: a}\nseed:\n", ("seed: found null, expected a whole number",)),
    ("eval a word", "dataset: {root: a}\neval: often\n", ("eval: found 'often', expected a mapping",)),
    (
        "wandb typo",
        "dataset: {root: a}\nwandb: {enabled: true}\n",
        ("wandb.enabled: unknown key. Did you mean 'enable'",),
    ),
    ("peft", "dataset: {root: a}\npeft: {r: 8}\n", ("peft: found a mapping {'r': 8}", "Not supported")),
    ("long output_dir", f"dataset: {{root: a}}\noutput_dir: {'x' * 300}\n", ("output_dir: found 'xxx", "255 bytes")),
    ("resume in a file", "dataset: {root: a}\nresume: true\n", ("resume: found true in a file",)),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
def test_a_bad_file_is_refused_by_key(
    text: str | bytes, expected: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mix.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    said = ended(["train", f"--config_path={path}", *POLICY], capsys)
    assert "mix.yaml" in said or "--policy" in said
    for part in expected:
        assert part in said


BASE = ("train", *POLICY, "--dataset.root=a")

COMMANDS: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("no verb", (), ()),
    ("unknown verb", ("trian",), ("no command 'trian'. Did you mean 'train'?",)),
    ("nothing to train on", ("train", *POLICY), ("dataset: missing",)),
    ("no policy", ("train", "--dataset.root=a"), ("policy: missing", "--policy.type")),
    ("unknown policy", ("train", "--dataset.root=a", "--policy.type=atc"), ("found 'atc'", "Did you mean 'act'?")),
    ("no file there", ("train", "--config_path=/no/mix.yaml"), ("/no/mix.yaml: no such file",)),
    ("a folder as file", ("train", "--config_path=."), (".: is a folder",)),
    ("a device as file", ("train", "--config_path=/dev/zero"), ("/dev/zero: is larger than",)),
    ("config_path alone", ("train", "--config_path"), ("--config_path: needs a value",)),
    ("a file without flag", ("train", "mix.yaml"), ("found 'mix.yaml'", "`--config_path=mix.yaml`")),
    ("one dash", (*BASE, "-steps=3"), ("found '-steps=3' where a flag",)),
    ("misspelt flag", (*BASE, "--step=3"), ("--step: unknown flag", "Did you mean 'steps'?")),
    ("misspelt policy flag", (*BASE, "--policy.chunksize=3"), ("--policy.chunksize: unknown flag", "'chunk_size'?")),
    ("misspelt dataset flag", (*BASE, "--dataset.alhpa=1"), ("--dataset.alhpa: unknown flag", "Did you mean 'alpha'?")),
    ("flag into a number", (*BASE, "--steps.x=1"), ("--steps.x: unknown flag", "holds a single value")),
    ("flag into a word", (*BASE, "--dataset.root.x=1"), ("--dataset.root.x: unknown flag",)),
    ("dots without end", (*BASE, "--" + "a." * 200 + "b=1"), ("where a flag like",)),
    ("position of a list", (*BASE[:3], "--dataset.datasets.x.root=a"), ("'x' stands where the position",)),
    ("position too far", (*BASE[:3], "--dataset.datasets.5.root=a"), ("the list has 0 entries",)),
    ("a number for a word", (*BASE, "--steps=many"), ("--steps: found 'many', expected a whole number",)),
    ("true for a number", (*BASE, "--batch_size=true"), ("--batch_size: found true",)),
    ("no value", (*BASE, "--steps"), ("--steps: needs a value",)),
    ("empty value", (*BASE, "--steps="), ("--steps: found ''",)),
    ("half a list", ("train", *POLICY, '--dataset.repo_id=["a", "b"'), ("--dataset.repo_id: found '[",)),
    ("negative batch", (*BASE, "--batch_size=-8"), ("--batch_size: found -8, expected 1 or more",)),
    ("negative workers", (*BASE, "--num_workers=-1"), ("--num_workers: found -1",)),
    ("seed too large", (*BASE, "--seed=5000000000"), ("--seed: found 5000000000",)),
    ("output_dir exists", (*BASE, "--output_dir=."), ("--output_dir: '.' exists already",)),
    ("unknown env", (*BASE, "--env.type=pushed"), ("--env.type: found 'pushed'", "Did you mean 'pusht'?")),
    ("unknown device", (*BASE, "--policy.device=gpu7"), ("--policy.device: found 'gpu7'",)),
    ("odd device", (*BASE, "--policy.device=cuda:x"), ("--policy.device: found 'cuda:x'",)),
    ("refused by the policy", (*BASE, "--policy.n_action_steps=101"), ("policy (type act)", "101")),
    ("mode not a mode", (*BASE, "--policy.normalization_mapping={ACTION: MEAN}"), ("found 'MEAN'", "'MEAN_STD'")),
    ("rename_map", (*BASE, "--rename_map={a: b}"), ("--rename_map", "Not supported", "feature_map")),
    ("push nowhere", (*BASE, "--policy.push_to_hub"), ("--policy.push_to_hub: needs the place to push to",)),
    ("no pretrained policy", ("train", "--policy.path=/no/policy", "--dataset.root=a"), ("no folder /no/policy",)),
    ("resume nothing", ("train", "--resume"), ("--resume: which run?",)),
    ("resume nowhere", ("train", "--resume=true", "--output_dir=/no/run"), ("there is no /no/run/checkpoints/last",)),
    ("plugin missing", (*BASE, "--policy.discover_packages_path=no_such_package"), ("no_such_package",)),
    ("wandb mode", (*BASE, "--wandb.mode=ofline"), ("--wandb.mode: found 'ofline'",)),
]


@pytest.mark.parametrize(("argv", "expected"), [row[1:] for row in COMMANDS], ids=[row[0] for row in COMMANDS])
def test_a_bad_command_is_refused_by_flag(
    argv: tuple[str, ...], expected: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    if not argv:
        assert main([]) == 2
        return
    said = ended(list(argv), capsys)
    for part in expected:
        assert part in said


def test_a_second_problem_is_not_hidden_by_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mix.json"
    path.write_text('{"dataset": {"repo_id": "a", "alpha": "x"}, "steps": 0.5, "polcy": {}}')
    said = ended(["train", f"--config_path={path}", *POLICY, "--seed=-1", "--policy.chunk=1"], capsys)
    assert "4 problems" in said
    assert f"{path}: dataset.alpha: found 'x'" in said
    assert f"{path}: steps: found 0.5" in said
    assert f"{path}: polcy: unknown key. Did you mean 'policy'?" in said
    assert "\n  --policy.chunk: unknown flag." in said


@pytest.mark.parametrize(
    ("argv", "code", "expected"),
    [
        (["--help"], 0, "usage: robomix COMMAND"),
        (["train", "--help"], 0, "--dataset.alpha: number (default 0.0)"),
        (["train", "--config_path=missing.yaml"], 2, "robomix train: error: missing.yaml: no such file"),
    ],
)
def test_the_installed_command_ends_the_same_way(argv: list[str], code: int, expected: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "robomix", *argv], capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
    )
    assert done.returncode == code
    assert expected in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
