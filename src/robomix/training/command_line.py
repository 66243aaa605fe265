"""From a command line to a training config: a file, the flags laid over it, and the checkpoint of a resumed run.

--config_path=mix.yaml --policy.type=act --steps=1000       a file, and flags over it
--robomimic_config=exp.json --steps=1000                    a config of robomimic's, and flags over it
--resume=true --output_dir=DIR                              the run in DIR, from its last checkpoint
--resume=true --config_path=DIR/checkpoints/002000          a certain checkpoint
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robomix.config import MixtureConfig
from robomix.documents import read_document
from robomix.errors import ConfigError
from robomix.mixture_block import SHORT
from robomix.mixture_rules import LEROBOT_KEYS
from robomix.training.choices import CHOICES, choice_fields, pretrained_policy
from robomix.training.compatibility import ABSOLUTE_ACTIONS, RENAMED, UNSUPPORTED
from robomix.training.config import TRAIN_CONFIG_NAME, TrainConfig, build
from robomix.training.flags import Flag, Schema, copied, overlay, parse_flags, value_of
from robomix.training.lerobot import (
    CHECKPOINTS_DIR,
    LAST_CHECKPOINT_LINK,
    PRETRAINED_MODEL_DIR,
    TRAINING_STATE_DIR,
    PluginLoadError,
    load_plugin,
    register_third_party_plugins,
)
from robomix.training.robomimic.config import read_robomimic_config
from robomix.validation import fields_of

PLUGINS = "discover_packages_path"
"""`--policy.discover_packages_path=my_package` imports a package that registers policies or simulators of one's own."""


def parse_train_args(argv: Sequence[str]) -> TrainConfig:
    """The config of `robomix train ARGV`. Raises ConfigError with everything that is wrong with it."""
    flags = parse_flags(argv)
    register_third_party_plugins()
    flags = _load_plugins(flags)
    config_path, robomimic_config = _text_of(flags, "config_path"), _text_of(flags, "robomimic_config")
    if robomimic_config is not None:
        return _parse_robomimic(robomimic_config, flags)
    flags = [flag for flag in flags if flag.name != "config_path"]
    checkpoint = None
    if _is_on(flags, "resume"):
        checkpoint = find_checkpoint(config_path, _text_of(flags, "output_dir"))
        config_path = str(checkpoint / PRETRAINED_MODEL_DIR / TRAIN_CONFIG_NAME)
    elif config_path is not None and os.path.isfile(os.path.join(config_path, TRAIN_CONFIG_NAME)):
        config_path = os.path.join(config_path, TRAIN_CONFIG_NAME)
    data = copied(read_document(config_path)) if config_path is not None else {}
    if "algo_name" in data:
        raise ConfigError(f"{config_path}: is a config of robomimic's. Give it as --robomimic_config={config_path}.")
    if checkpoint is None and data.get("resume") is True:
        raise ConfigError(f"{config_path}: resume: found true in a file. It belongs to one start: give --resume=true.")
    if checkpoint is not None and checkpoint.parent.name == CHECKPOINTS_DIR:
        data["output_dir"] = str(checkpoint.parent.parent)  # where the run is now, should it have been moved
    cfg = _build_with(flags, data, config_path)
    cfg.config_path = None if config_path is None else Path(config_path)
    cfg.checkpoint_path = checkpoint
    return cfg


def read_training_file(path: Path, flags: Sequence[str] = ()) -> TrainConfig:
    """The training that the file `path` describes, with `flags` as a command line has them laid over it, for those that
    look at it and run none: it needs no folder.

    Raises ConfigError with everything that is wrong with it.
    """
    register_third_party_plugins()
    data = copied(read_document(path))
    data.pop("output_dir", None)
    return _build_with(parse_flags(flags), data, str(path))


def _parse_robomimic(path: str, flags: Sequence[Flag]) -> TrainConfig:
    """The training that a config of robomimic's describes, with flags laid over it."""
    for name, given in (("config_path", _text_of(flags, "config_path")), ("resume", _is_on(flags, "resume"))):
        if given:
            raise ConfigError(
                f"--robomimic_config starts a run of its own. Leave out it or --{name}. A run that was started with it "
                "goes on with --resume=true --output_dir=DIR."
            )
    other_policy = _text_of(flags, "policy.path") is not None or _text_of(flags, "policy.type") not in (None, "bc")
    other_output = _text_of(flags, "output_dir") is not None
    data, notes = read_robomimic_config(path, other_policy=other_policy, other_output=other_output)
    cfg = _build_with([flag for flag in flags if flag.name != "robomimic_config"], data, path)
    cfg.notes = notes + cfg.notes
    cfg.config_path = Path(path)
    return cfg


def _build_with(flags: Sequence[Flag], data: dict[str, Any], origin: str | None) -> TrainConfig:
    """The config of `data` from the file `origin`, with flags laid over it: types of blocks first, then the rest."""
    flags = _resolve_pretrained(data, flags)
    types = [flag for flag in flags if flag.name.endswith(".type")]
    first, problems = overlay(data, types, _schema(data))
    then, more = overlay(data, [flag for flag in flags if flag not in types], _schema(data))
    return build(data, origin=origin, set_by=first | then, problems=problems + more)


def find_checkpoint(config_path: str | None, output_dir: str | None) -> Path:
    """The checkpoint folder to resume from: of `config_path`, else the last one in `output_dir`.

    `config_path` may be the checkpoint, its model folder or the train_config.json in there. Raises ConfigError where
    there is no checkpoint.
    """
    if config_path is None and output_dir is None:
        raise ConfigError("--resume: which run? Give its --output_dir, or a checkpoint as --config_path.")
    if config_path is None:
        asked = Path(str(output_dir)) / CHECKPOINTS_DIR / LAST_CHECKPOINT_LINK
        flag = f"--output_dir={output_dir}"
    else:
        asked, flag = Path(config_path), f"--config_path={config_path}"
    if not os.path.exists(asked):
        raise ConfigError(f"--resume {flag}: there is no {asked.absolute()}. Did that run write a checkpoint?")
    asked = Path(os.path.realpath(asked))
    for folder in (asked, asked.parent, asked.parent.parent):
        is_config = os.path.isfile(folder / PRETRAINED_MODEL_DIR / TRAIN_CONFIG_NAME)
        if is_config and os.path.isdir(folder / TRAINING_STATE_DIR):
            return folder
    raise ConfigError(
        f"--resume {flag}: {asked} is no checkpoint of robomix. Expected a folder like checkpoints/002000, "
        f"with {PRETRAINED_MODEL_DIR}/{TRAIN_CONFIG_NAME} and {TRAINING_STATE_DIR}/ in it."
    )


def _load_plugins(flags: Sequence[Flag]) -> list[Flag]:
    """Imports what the `PLUGINS` flags name; returns the other flags."""
    for flag in flags:
        if flag.name.endswith(f".{PLUGINS}"):
            try:
                load_plugin(str(flag.text))
            except PluginLoadError as error:
                raise ConfigError(f"--{flag.name}: {error}") from error
    return [flag for flag in flags if not flag.name.endswith(f".{PLUGINS}")]


def _resolve_pretrained(data: dict[str, Any], flags: Sequence[Flag]) -> list[Flag]:
    """Puts the config of the policy at `policy.path` into `data`, below what the file says; returns the other flags."""
    block = data.get("policy")
    path = _text_of(flags, "policy.path")
    if path is None and isinstance(block, Mapping) and "path" in block:
        path = str(block["path"])
    if path is None:
        return list(flags)
    if _is_on(flags, "resume"):
        raise ConfigError(
            "--policy.path: a resumed run goes on with its own weights. Leave out --policy.path or --resume."
        )
    own = {key: value for key, value in block.items() if key != "path"} if isinstance(block, Mapping) else {}
    kind = _text_of(flags, "policy.type") or own.get("type")
    trained = pretrained_policy(path)
    if kind not in (None, trained["type"]):
        raise ConfigError(f"policy.type: found {kind!r}, but policy.path has a policy of type {trained['type']!r}.")
    said = "use_relative_actions" in own or any(flag.name == "policy.use_relative_actions" for flag in flags)
    if trained.get("use_relative_actions") is True and not said:
        raise ConfigError(
            f"policy.path: the policy in {path} has use_relative_actions. Not supported: {ABSOLUTE_ACTIONS}. Then add "
            "--policy.use_relative_actions=false."
        )
    data["policy"] = trained | own
    return [flag for flag in flags if flag.name != "policy.path"]


def _schema(data: Mapping[str, Any]) -> Schema:
    """Keys and types of a training file, as far as the types of its blocks are known."""
    own = {name: hint for name, hint in fields_of(TrainConfig).items() if name not in CHOICES}
    choices = {name: choice_fields(name, data.get(name)) for name in CHOICES}
    mixture = dict(fields_of(MixtureConfig)) | dict(SHORT) | dict.fromkeys(LEROBOT_KEYS, Any)
    others = dict.fromkeys(UNSUPPORTED, Any) | {old: own[new] for old, new in RENAMED.items()}
    return own | choices | others | {"dataset": mixture}


def _text_of(flags: Sequence[Flag], name: str) -> str | None:
    """What the last flag `name` says. Raises ConfigError where it says nothing."""
    given = [flag for flag in flags if flag.name == name]
    if given and not given[-1].text:
        raise ConfigError(f"--{name}: needs a value: --{name}=value or --{name} value.")
    return given[-1].text if given else None


def _is_on(flags: Sequence[Flag], name: str) -> bool:
    given = [flag for flag in flags if flag.name == name]
    return bool(given) and (given[-1].text is None or value_of(given[-1].text, bool) is True)
