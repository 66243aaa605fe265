"""The training config: the mixture, LeRobot's policy and its settings, under LeRobot's names.

Anything LeRobot 0.6.1 takes on its command line or in its files is either understood here, or refused by name with the
reason (`UNSUPPORTED`). `build` makes a config of plain data; `command_line` makes that data of flags and files.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from robomix.config import MixtureConfig, problems_of
from robomix.documents import read_document
from robomix.mixture_block import labels
from robomix.mixture_rules import text
from robomix.problems import KeyPath, Problem, report, wrong
from robomix.training.choices import CHOICES, PLAIN, build_block, choice_problems
from robomix.training.compatibility import translated
from robomix.training.lerobot import (
    CHECKPOINTS_DIR,
    LAST_CHECKPOINT_LINK,
    EnvConfig,
    EvalConfig,
    LRSchedulerConfig,
    OptimizerConfig,
    PreTrainedConfig,
    WandBConfig,
    encode,
)
from robomix.training.source_environment import dataset_env_problems
from robomix.validation import fields_of, fit, unknown_keys

TRAIN_CONFIG_NAME = "train_config.json"

FILLED_IN = ("output_dir", "job_name", "optimizer")
"""Fields whose default depends on others; null in a file asks for it."""


@dataclass
class TrainConfig:
    """One training run."""

    dataset: MixtureConfig
    """What to train on: the mixture."""
    policy: PreTrainedConfig
    """What to train: --policy.type=act and that policy's flags, or --policy.path=DIR for a trained one."""
    output_dir: Path
    """Where checkpoints and logs go; must not exist yet. Default: outputs/train/DATE/TIME_job_name."""
    job_name: str
    """Name of the run in folders and wandb. Default: the policy's type, after the simulator's if there is one."""
    optimizer: OptimizerConfig
    """--optimizer.type=adamw and its flags; only with use_policy_training_preset=false."""
    scheduler: LRSchedulerConfig | None = None
    """--scheduler.type=cosine_decay_with_warmup and its flags; only with use_policy_training_preset=false."""
    env: EnvConfig | None = None
    """Simulator to evaluate in while training: --env.type=pusht and its flags; none: no evaluation."""
    resume: bool = False
    """Continue a run with its exact next batch; give --output_dir of the run or --config_path of a checkpoint."""
    seed: int = 1000
    """Sets the initial weights, the order of the samples and the evaluation; same seed, same run."""
    cudnn_deterministic: bool = False
    """Only deterministic cuDNN algorithms: repeatable on a GPU, 10 to 20 percent slower."""
    num_workers: int = 4
    """Processes that load data, per rank; 0 loads in the training process. Does not change the samples."""
    prefetch_factor: int = 4
    """Batches each worker keeps ready; more costs memory and evens out slow reads."""
    batch_size: int = 8
    """Samples that each rank takes through the policy at a time; times the ranks and parts it is the global batch."""
    gradient_accumulation_steps: int = 1
    """Parts of a step, each of batch_size samples per rank, whose gradients are added up; also the launcher may say."""
    steps: int = 100_000
    """Optimizer steps of the whole run, those before a resume included."""
    log_freq: int = 200
    """Steps between two lines of metrics; 0 for none."""
    save_freq: int = 20_000
    """Steps between two checkpoints; 0 saves only the last."""
    save_checkpoint: bool = True
    """false trains without writing checkpoints."""
    env_eval_freq: int = 20_000
    """Steps between two evaluations, in `env` and those of datasets with `eval: true`; one more at the end; 0: none."""
    val_freq: int = 20_000
    """Steps between two measurements of the loss on the episodes that are held out; one more at the end; 0: none."""
    tolerance_s: float = 1e-4
    """Accepted because LeRobot has it; robomix reads frames by number and needs no tolerance in time."""
    use_policy_training_preset: bool = True
    """Optimizer and scheduler as the policy's authors set them; false takes `optimizer` and `scheduler` from here."""
    eval: EvalConfig = field(default_factory=EvalConfig)
    """How evaluations in `env` run, such as --eval.n_episodes=50 --eval.batch_size=10."""
    wandb: WandBConfig = field(default_factory=WandBConfig)
    """Weights & Biases, such as --wandb.enable=true --wandb.project=mine; off by default."""
    dry_run: bool = False
    """Open the datasets, print the mixture table, and stop before the first step."""
    lock: bool | str = False
    """Write what the run is made of to mixture.lock beside the mixture file, or to this file, and stop there."""
    locked: bool | str = False
    """Train only on what that mixture.lock, or this file, says; else name what has changed, and stop."""
    config_path: Path | None = field(init=False, default=None)
    """The file it was read from; None where it is of flags alone."""
    checkpoint_path: Path | None = field(init=False, default=None)
    """The checkpoint a resumed run continues from; its folder holds the model and the training state."""
    notes: list[str] = field(init=False, default_factory=list)
    """What the user should know about settings that were taken otherwise than they might expect."""
    set_by: Mapping[KeyPath, str] = field(init=False, default_factory=dict)
    """The keys that flags have set, and the flags."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `build` turns into an equal config. What belongs to one start of the run is left out."""
        left_out = ("dataset", "resume", "dry_run", "lock", "locked")
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.init and f.name not in left_out}
        coded = {name: None if value is None else encode(value, CHOICES.get(name)) for name, value in own.items()}
        plain: dict[str, Any] = json.loads(json.dumps(coded))  # LeRobot's enums as their names
        return {"dataset": self.dataset.to_dict()} | plain


def build(
    data: Mapping[str, Any],
    *,
    origin: str | None = None,
    set_by: Mapping[KeyPath, str] | None = None,
    problems: list[Problem] | None = None,
) -> TrainConfig:
    """The config that plain `data` describes. Raises ConfigError with everything wrong in it, and with `problems`.

    `origin` is the file the data is from, `set_by` the keys that flags have set in it.
    """
    set_by = set_by or {}
    problems = list(problems or [])
    data, notes = translated(data, set_by, problems)
    data = {name: value for name, value in data.items() if value is not None or name not in FILLED_IN}
    problems += unknown_keys(data, fields_of(TrainConfig), (), _belongs_to_the_mixture)
    for name, hint in fields_of(TrainConfig).items():
        if name in CHOICES:
            problems += choice_problems(name, data.get(name), (name,))
        elif name in data and name != "dataset":
            problems += fit(hint, data[name], (name,))
    if "dataset" in data:
        problems += problems_of(data["dataset"]) or dataset_env_problems(data["dataset"])
    else:
        problems.append(Problem(("dataset",), "missing. Give a file with a `dataset:` block, or --dataset.repo_id=..."))
    problems = problems or _value_problems(data, set_by)
    if problems:
        raise report(problems, origin=origin, flags=set_by, label=labels(data.get("dataset")))
    blocks = [name for name in (*CHOICES, *PLAIN) if isinstance(data.get(name), Mapping)]
    built = data | {name: build_block(name, data[name], origin) for name in blocks}
    built["dataset"] = MixtureConfig.from_dict(data["dataset"], origin=origin)
    cfg = TrainConfig(**_filled_in(built, notes))
    cfg.notes = notes
    cfg.set_by = set_by
    return cfg


def save_train_config(cfg: TrainConfig, folder: Path) -> None:
    """Writes `train_config.json` into `folder`, from which `--resume` continues."""
    (folder / TRAIN_CONFIG_NAME).write_text(json.dumps(cfg.to_dict(), indent=4) + "\n")


def load_train_config(folder: Path) -> TrainConfig:
    """The config `save_train_config` has written into `folder`."""
    path = folder / TRAIN_CONFIG_NAME
    return build(read_document(path), origin=str(path))


def _filled_in(built: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """The fields of a config with those of `FILLED_IN`; a preset that replaces what a file says is noted."""
    fields = dict(built)
    policy, env, optimizer = fields["policy"], fields.get("env"), fields.get("optimizer")
    fields["job_name"] = fields.get("job_name") or (f"{env.type}_{policy.type}" if env else policy.type)
    default = f"outputs/train/{datetime.now():%Y-%m-%d/%H-%M-%S}_{fields['job_name']}"
    fields["output_dir"] = Path(fields.get("output_dir", default))
    keeps_own = fields.get("resume") and optimizer is not None
    if fields.get("use_policy_training_preset", True) and not keeps_own:
        fields["optimizer"], fields["scheduler"] = policy.get_optimizer_preset(), policy.get_scheduler_preset()
        if optimizer not in (None, fields["optimizer"]):
            notes.append(f"the optimizer is the preset of {policy.type}; use_policy_training_preset=false takes yours")
    return fields


def _belongs_to_the_mixture(name: str) -> str:
    return " It belongs under `dataset:`." if name in fields_of(MixtureConfig) or name == "repo_id" else ""


def _value_problems(data: Mapping[str, Any], set_by: Mapping[KeyPath, str]) -> list[Problem]:
    """What values of the right type must satisfy."""
    at_least = dict.fromkeys(("steps", "batch_size", "gradient_accumulation_steps", "prefetch_factor"), 1)
    at_least |= dict.fromkeys(("num_workers", "seed", "val_freq"), 0)
    problems = [
        wrong((name,), data[name], f"{least} or more")
        for name, least in at_least.items()
        if name in data and data[name] < least
    ]
    if data.get("seed", 0) >= 2**32:
        problems.append(wrong(("seed",), data["seed"], "a number below 2^32"))
    if data.get("eval", {}).get("n_episodes", 1) < 1:
        problems.append(wrong(("eval", "n_episodes"), data["eval"]["n_episodes"], "1 or more"))
    mode = data.get("wandb", {}).get("mode")
    if mode not in ("online", "offline", "disabled", None):
        problems.append(wrong(("wandb", "mode"), mode, "online, offline or disabled"))
    problems += text(data.get("job_name"), ("job_name",))
    return problems + _preset_problems(data, set_by) + _folder_problems(data)


def _preset_problems(data: Mapping[str, Any], set_by: Mapping[KeyPath, str]) -> list[Problem]:
    """An optimizer comes from the policy's preset or from the config, not from both and not from neither."""
    if data.get("use_policy_training_preset", True):
        flags = (
            {} if data.get("resume") else {path[0]: path for path in set_by if path[0] in ("optimizer", "scheduler")}
        )
        advice = "has no effect beside the policy's preset. Add --use_policy_training_preset=false."
        return [Problem(path, advice) for path in flags.values()]
    if data.get("optimizer") is None:
        return [Problem(("optimizer",), "missing, without the policy's preset. Give one with --optimizer.type=adamw.")]
    return []


def _folder_problems(data: Mapping[str, Any]) -> list[Problem]:
    """A new run needs a folder that is not there yet and can be made."""
    folder, key = data.get("output_dir"), ("output_dir",)
    if folder is None or data.get("resume"):
        return []
    if problems := text(str(folder), key):
        return problems
    if os.path.exists(folder):
        goes_on = os.path.lexists(os.path.join(folder, CHECKPOINTS_DIR, LAST_CHECKPOINT_LINK))
        advice = f"Choose another, or continue its run with --resume=true --output_dir={folder}."
        advice = advice if goes_on else "It holds no checkpoint to go on from. Choose another, or remove it."
        return [Problem(key, f"{str(folder)!r} exists already, and is not overwritten. {advice}")]
    if any(len(os.fsencode(part)) > 255 for part in Path(folder).parts):
        return [wrong(key, str(folder), "names of at most 255 bytes")]
    above = next(parent for parent in Path(folder).absolute().parents if os.path.lexists(parent))
    if not above.is_dir() or not os.access(above, os.W_OK):
        return [Problem(key, f"{str(folder)!r} cannot be made: {above} is no folder one may write to.")]
    return []
