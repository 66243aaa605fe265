"""robomimic's JSON config of an experiment, as the plain data of a training: `dataset`, `policy`, `steps` and so on.

    robomix train --robomimic_config=exp.json [--KEY=VALUE ...]

Read are the configs of robomimic 0.2 to 0.5, whose defaults (config/base_config.py, config/bc_config.py) stand for keys
that are not there. Each key is either used, or refused because the training would be another one without it, or named
in a note. What robomimic counts in epochs is counted in steps here.
"""

import os
from collections.abc import Mapping
from typing import Any

import torch

from robomix.documents import read_document
from robomix.errors import ConfigError
from robomix.problems import report
from robomix.training.robomimic.data import Experiment, take_experiment
from robomix.training.robomimic.inputs import ENVIRONMENT
from robomix.training.robomimic.keys import RobomimicKeys
from robomix.training.robomimic.policy import ANOTHER, take_decay, take_policy


def read_robomimic_config(
    path: str, *, other_policy: bool = False, other_output: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """The training that the config at `path` describes, as plain data for `build`, and notes for the user.

    With `other_policy`, what the config says of its algorithm is left out, and `policy` has no type; with
    `other_output`, its output folder is not the one that is used. Opens the datasets: the observations must be there,
    and an epoch may be as long as they are. Raises ConfigError with everything that is wrong.
    """
    tree = read_document(path)
    if "dataset" in tree and "train" not in tree:
        raise ConfigError(f"{path}: is a mixture file, not a config of robomimic's. Give it as --config_path={path}.")
    keys = RobomimicKeys(tree)
    if other_policy:
        keys.take("algo_name", Any, None)  # the policy asked for is another anyway
    else:
        keys.expect("algo_name", ("bc",), f"robomix has no other algorithm of robomimic's. {ANOTHER}")
    experiment = take_experiment(keys, other_policy=other_policy)
    policy = {} if other_policy else take_policy(keys, experiment.inputs)
    policy["device"] = "cuda" if keys.take("train.cuda", bool, True) and torch.cuda.is_available() else "cpu"
    settings = _settings(keys)
    epoch = _steps_of_an_epoch(keys, experiment, settings["batch_size"], policy)
    settings["steps"] = epoch * keys.take("train.num_epochs", int, 2000, least=1)
    settings |= _saving(keys, epoch) | _rollouts(keys, epoch)
    if not other_policy:
        policy |= take_decay(keys, epoch)
    keys.problems += keys.typos()
    if keys.problems:
        raise report(keys.problems, origin=path)
    mixture = experiment.mixture()
    if experiment.inputs.cameras and policy.get("normalization_mapping", {}).get("VISUAL") == "MEAN_STD":
        mixture["use_imagenet_stats"] = False  # robomimic normalizes pictures by their own statistics
    _add_notes(keys, experiment, policy, None if other_output else settings.get("output_dir"))
    unused = keys.unused()
    told = [*keys.notes, f"not used of {path}: {', '.join(unused)}"] if unused else keys.notes
    return {"dataset": mixture, "policy": policy} | settings, told


def _settings(keys: RobomimicKeys) -> dict[str, Any]:
    validate = keys.take("experiment.validate", bool, False)
    keys.skip("train.hdf5_validation_filter_key", (None,))
    if validate:
        keys.notes.append(
            "no validation (experiment.validate): nothing is held out of what the filter keys select, and the policy "
            "is not measured on other demonstrations"
        )
    keys.expect("experiment.ckpt_path", (None,), "robomimic's checkpoints hold networks of its own")
    name, folder = keys.take("experiment.name", str, "test"), keys.take("train.output_dir", str, None)
    settings = {
        "job_name": name,
        "batch_size": keys.take("train.batch_size", int, 100, least=1),
        "seed": keys.take("train.seed", int, 1, least=0),
        "num_workers": keys.take("train.num_data_workers", int, 0, least=0),
        "wandb": {
            "enable": keys.take("experiment.logging.log_wandb", bool, False),
            "project": keys.take("experiment.logging.wandb_proj_name", str, "debug"),
        },
    }
    return settings if folder is None else settings | {"output_dir": os.path.join(os.path.expanduser(folder), name)}


def _steps_of_an_epoch(keys: RobomimicKeys, experiment: Experiment, batch_size: int, policy: Mapping[str, Any]) -> int:
    """As many as the config says; null: one pass through all sequences, without a last batch that is not full."""
    steps: int | None = keys.take("experiment.epoch_every_n_steps", int | None, 100, least=1)
    dropped = 0 if policy.get("pad_sequences", True) else policy["rnn_horizon"] - 1
    sequences = experiment.count_sequences(dropped)
    if steps is not None or keys.problems:
        return steps or 1
    if sequences < batch_size:
        keys.wrong("train.batch_size", batch_size, f"at most {sequences:,}, the number of sequences")
    return max(1, sequences // batch_size)


def _saving(keys: RobomimicKeys, epoch: int) -> dict[str, Any]:
    """Checkpoints are saved every so many steps, and at the end."""
    keys.skip("experiment.save.every_n_seconds", (None,))
    keys.skip("experiment.save.epochs", ([],))
    enabled = keys.take("experiment.save.enabled", bool, True)
    measured = keys.is_on("experiment.rollout.enabled", True) or keys.take("experiment.validate", bool, False)
    best = [f"experiment.save.on_best_{kind}" for kind in ("rollout_return", "rollout_success_rate", "validation")]
    asked = [place for place in best if keys.take(place, bool, False)]
    if asked and enabled and measured:
        keys.notes.append(f"no checkpoint is saved for being the best so far ({', '.join(asked)})")
    epochs = keys.take("experiment.save.every_n_epochs", int | None, 50, least=1)
    return {"save_checkpoint": enabled, "save_freq": (epochs or 0) * epoch}


def _rollouts(keys: RobomimicKeys, epoch: int) -> dict[str, Any]:
    """How often and how long; in which environments the sources say."""
    rollout = "experiment.rollout"
    keys.skip("experiment.env", (None,))
    keys.skip("experiment.additional_envs", (None, []))
    keys.skip("experiment.env_meta_update_dict", ({},))
    keys.skip("experiment.render", (False,))
    if not keys.is_on(f"{rollout}.enabled", True):
        return {"env_eval_freq": 0}
    keys.skip(f"{rollout}.warmstart", (0,))
    keys.skip(f"{rollout}.terminate_on_success", (True,))
    evaluation = {"n_episodes": keys.take(f"{rollout}.n", int, 50, least=1)}
    if keys.take(f"{rollout}.batched", bool, False):
        evaluation["batch_size"] = keys.take(f"{rollout}.num_batch_envs", int, 5, least=1)
    return {"eval": evaluation, "env_eval_freq": keys.take(f"{rollout}.rate", int, 50, least=1) * epoch}


def _add_notes(keys: RobomimicKeys, experiment: Experiment, policy: Mapping[str, Any], folder: str | None) -> None:
    """What becomes of the data, and where the training goes, in `keys.notes`."""
    bc, inputs = policy.get("type") == "bc", experiment.inputs
    if folder is not None and not os.path.isabs(folder):
        keys.notes.append(f"the output folder {folder!r} is taken from the working folder, not from robomimic's own")
    if inputs.language and bc:
        keys.notes.append("the text of `lang` is in every sample as `task`, but bc does not read it")
    if inputs.environment:
        why = "policies such as act and diffusion need it where there are no cameras"
        keys.notes.append(f"`{inputs.environment}` becomes {ENVIRONMENT}: {why}")
    elif not bc and not inputs.cameras:
        keys.notes.append(
            "policies such as act and diffusion need a camera, or `object` beside other observations; the config lists "
            "neither in observation.modalities.obs"
        )
    as_recorded = bc and policy["normalization_mapping"]["ACTION"] == "IDENTITY"
    if wide := ", ".join(experiment.beyond_unit() if as_recorded else ()):
        advice = 'normalization "min_max" in train.action_config scales them'
        keys.notes.append(f"the actions of {wide} leave [-1, 1], where those of bc lie: {advice}")
