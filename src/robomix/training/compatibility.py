"""LeRobot's settings that robomix takes otherwise than LeRobot does, or refuses. None is ignored without a word."""

from collections.abc import Mapping
from typing import Any

from robomix.problems import KeyPath, Problem, show, wrong
from robomix.training.choices import default_device, device_problem
from robomix.training.lerobot import AbsoluteActionsProcessorStep, RelativeActionsProcessorStep

RENAMED = {"eval_freq": "env_eval_freq", "eval_steps": "val_freq"}
"""LeRobot's names, `eval_freq` of its older versions."""

UNSUPPORTED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "reward_model": ((None,), "robomix trains policies, not reward models"),
    "peft": ((None,), "robomix does not train adapters"),
    "sample_weighting": ((None,), "samples are weighted by their dataset: set `weight` and `alpha` under `dataset`"),
    "rename_map": (({}, None), "features are renamed per dataset: set `feature_map` in dataset.datasets"),
    "save_checkpoint_to_hub": ((False,), "checkpoints stay in output_dir; upload them with `hf upload`"),
    "max_eval_samples": ((0,), "validation takes all held-out frames; a larger `val_freq` saves time"),
    "persistent_workers": ((True,), "robomix's workers live as long as the run"),
    "dataloader_multiprocessing_context": (("spawn",), "robomix's workers are spawned; forked ones share decoders"),
    "job": ((None,), "robomix trains on this machine"),
}
"""Key to the values that ask for nothing, and why others cannot be."""

ABSOLUTE_ACTIONS = (
    "LeRobot's processors would make the actions relative after the mixture's statistics, which are of absolute ones. "
    "Let each dataset do it, and the statistics are of relative actions: transforms: [{type: delta_action, kwargs: "
    "{reference: state}}], with `absolute: [gripper]` for the entries that stay"
)
"""Why `use_relative_actions` of pi0, pi0.5, pi0-FAST and GR00T is refused."""

DERIVED = ("checkpoint_path",)
"""Keys LeRobot writes into its files and works out anew when it reads them."""


def translated(
    data: Mapping[str, Any], set_by: Mapping[KeyPath, str], problems: list[Problem]
) -> tuple[dict[str, Any], list[str]]:
    """The training data in robomix's terms, and notes for the user. What is refused is added to `problems`."""
    data = {name: value for name, value in data.items() if name not in DERIVED}
    notes = []
    if data.get("eval_steps") == 0:  # stands in every file of LeRobot's, and asks for nothing
        del data["eval_steps"]
    for old, new in RENAMED.items():
        if old in data:
            if new in data:
                problems.append(Problem((old,), f"is LeRobot's name of {new}, which is given too. Remove one."))
            data[new] = data.pop(old)
    for name, (nothing, reason) in UNSUPPORTED.items():
        value = data.pop(name, nothing[0])
        if name == "job" and isinstance(value, Mapping) and value.get("target") in (None, "local"):
            continue
        if not any(type(value) is type(v) and value == v for v in nothing):
            key = next((path for path in set_by if path[0] == name), (name,))
            expected = " or ".join(map(show, nothing))
            problems.append(wrong(key, value, expected, f"Not supported: {reason}."))
    if "tolerance_s" in data and data["tolerance_s"] != 1e-4:
        notes.append("tolerance_s has no effect: frames are read by number, not by time")
    evaluation = data.get("eval")
    if isinstance(evaluation, Mapping) and evaluation.get("recording") is True:
        problems.append(wrong(("eval", "recording"), True, "false", "Not supported: rollouts are kept as videos."))
    policy = data.get("policy")
    if isinstance(policy, Mapping):
        data["policy"], more = _policy(policy, data.get("resume") is True, set_by, problems)
        notes += more
    return data, notes + _video_notes(data.get("dataset"))


def keep_actions_absolute(processors: tuple[Any, Any]) -> None:
    """Switches off what makes actions relative, and back, in LeRobot's `processors` of a policy trained before."""
    for step in (*processors[0].steps, *processors[1].steps):
        if isinstance(step, RelativeActionsProcessorStep | AbsoluteActionsProcessorStep):
            step.enabled = False


def _policy(
    block: Mapping[str, Any], resume: bool, set_by: Mapping[KeyPath, str], problems: list[Problem]
) -> tuple[dict[str, Any], list[str]]:
    """The policy's block with robomix's defaults: on the best device, and not published unless that was asked for."""
    block = dict(block)
    notes = []
    if block.get("push_to_hub") is None:
        block["push_to_hub"] = block.get("repo_id") is not None
    if block["push_to_hub"] is True and not block.get("repo_id"):
        problems.append(Problem(("policy", "push_to_hub"), "needs the place to push to. Add --policy.repo_id=me/name."))
    elif block["push_to_hub"] is True:
        notes.append("training does not push to the Hub; `robomix push` does, with checkpoints/last/pretrained_model")
    device = block.get("device")
    problem = device_problem(device) if isinstance(device, str) else None
    if problem and resume and ("policy", "device") not in set_by:
        notes.append(f"the run was on {device!r}, which is not here; it continues on {default_device()}")
        device = None
    elif problem:
        problems.append(Problem(("policy", "device"), f"found {device!r}; {problem}"))
    if device is None or problem:
        block["device"] = default_device()
    if block.get("use_relative_actions") is True:
        key = ("policy", "use_relative_actions")
        problems.append(wrong(key, True, "false", f"Not supported: {ABSOLUTE_ACTIONS}."))
    return block, notes


def _video_notes(dataset: Any) -> list[str]:
    if not isinstance(dataset, Mapping):
        return []
    sources = dataset.get("datasets")
    blocks = [dataset, *(sources if isinstance(sources, list) else [])]
    asked = {block.get("video_backend") for block in blocks if isinstance(block, Mapping)}
    if asked & {"torchcodec", "video_reader"}:
        return ["video_backend has no effect: videos are decoded with PyAV, frame by frame exact"]
    return []
