"""The training loop. It reads from top to bottom:

open the datasets, align and schedule them, compute statistics, build policy and optimizer, then step by step: a batch,
a loss, an update; now and then a report, a checkpoint, a rollout.

    robomix train --config_path mix.yaml
    accelerate launch -m robomix train --config_path mix.yaml       # several processes: each takes its slice of a batch
"""

import logging
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from tqdm import tqdm

from robomix.errors import RobomixError
from robomix.mixture.dataset import Mixture
from robomix.mixture.horizons import chunk_durations
from robomix.mixture.loader import make_loader
from robomix.mixture.permutation import key_of
from robomix.mixture.resolve import as_records, as_table, shares, stages_records, stages_table
from robomix.mixture.schedule import Schedule
from robomix.statistics.given import config_stats, fingerprint_of_given
from robomix.statistics.safe import safe_stats
from robomix.training import checkpoint as checkpoints
from robomix.training.black_pictures import warn_of_black_pictures
from robomix.training.build import (
    build_accelerator,
    build_data,
    build_optimizer,
    build_policy,
    taken_keys,
)
from robomix.training.conditioning import check_condition, check_weights
from robomix.training.config import TrainConfig
from robomix.training.device import on_device
from robomix.training.evaluator import Evaluator
from robomix.training.loss_weights import LossWeights
from robomix.training.metrics import MetricsFile, Window, log_line
from robomix.training.normalization import make_processors
from robomix.training.objectives import Learner, Objective
from robomix.training.robot_folder import robots_of_training
from robomix.training.robots import folder_groups, prompt_notes
from robomix.training.signals import ignore_signals, signals_held, stop_on_signals
from robomix.training.texts import check_same_texts
from robomix.training.tracking import Tracker
from robomix.training.unread_prompts import warn_of_unread_prompts
from robomix.training.validation import Validator

log = logging.getLogger(__name__)


def train(config: TrainConfig) -> int:
    """Runs the training `config` describes; returns the exit code: 0, or 128 + signal where one stopped it.

    Raises RobomixError for everything that is wrong with config or data, before the first step.
    """
    accelerator = build_accelerator(config)

    # What is drawn, and when.
    batch_size = config.batch_size * accelerator.num_processes
    mixture, schedule = build_data(config.dataset, config.policy, seed=config.seed, batch_size=batch_size)
    table = shares(mixture.sources, schedule, config.steps)
    if accelerator.is_main_process:
        _print_mixture(mixture, table, stages_table(schedule))
    names = [source.name for source in mixture.sources]
    groups = {source.name: source.group for source in mixture.sources}
    check_condition(mixture.schema, config.policy)
    folders = folder_groups(groups, mixture.schema.condition)
    told = None if mixture.schema.condition is None else mixture.schema.condition.record()
    checkpoints.check_groups(list(dict.fromkeys(folders.values())), told)
    evaluator = Evaluator(config, mixture.sources, folders)
    resumed = config.checkpoint_path  # None in a new run
    first = schedule.resume(checkpoints.load_schedule_state(resumed)) if resumed else 0
    if resumed:
        checkpoints.check_same_groups(resumed, groups)
        checkpoints.check_same_condition(resumed, told)
        check_same_texts(resumed, config.dataset)
    elif config.policy.pretrained_path:
        check_weights(mixture.schema, config.policy)
    warn_of_unread_prompts(config.policy.type, mixture.sources)
    if config.dry_run:
        return 0
    if first >= config.steps:
        log.info("the run is at step %d of %d, nothing is left to do; --steps=N goes on", first, config.steps)
        return 0

    # Statistics, policy, optimizer.
    with accelerator.main_process_first():  # the others find the statistics in the cache
        stats = config_stats(mixture, config.dataset)
    given = fingerprint_of_given(stats, config.dataset)
    stats = {folders[name]: stats[groups[name]] for name in names}
    mixture.meta.stats = next(iter(stats.values()))
    if resumed:
        checkpoints.check_same_statistics(resumed, given)
    torch.manual_seed(config.seed)
    policy = build_policy(config, mixture, weights=checkpoints.weights_folder(resumed) if resumed else None)
    mixture = mixture.only(taken_keys(mixture, policy.config))
    safe = {group: safe_stats(of_group) for group, of_group in stats.items()}
    robots = robots_of_training(mixture, folders, policy)
    processors = make_processors(policy, safe, accelerator.device.type, robots)
    optimizer, scheduler, clip = build_optimizer(config, policy)
    if resumed:
        checkpoints.restore(resumed, optimizer, scheduler)
    policy.config.pretrained_path = None  # a checkpoint stands for itself, wherever its first weights came from
    of_groups = [robots[group] for group in stats] if robots is not None else ()
    learner, optimizer = accelerator.prepare(Learner(policy, of_groups), optimizer)
    _warn_if_unmasked(accelerator.unwrap_model(learner), mixture)
    warn_of_black_pictures(policy.config.type, mixture, robots)

    loss_weights = LossWeights(mixture.sources, accelerator.unwrap_model(learner), accelerator.device)

    # Reports.
    validator = Validator(config, mixture, schedule, accelerator)
    group_of_source = torch.tensor([list(stats).index(folder) for folder in folders.values()])
    output = Path(config.output_dir)
    record = {
        "config": config.dataset.to_dict(),
        "groups": groups,
        "folders": folders,
        "condition": told,
        "given_statistics": given,
        "notes": prompt_notes(mixture.sources),
        "table": as_records(table),
        "stages": stages_records(schedule),
    }
    if accelerator.is_main_process:
        evaluator.try_out(policy, processors.by_group, robots)
        metrics = MetricsFile(output / "metrics.jsonl", resumed_at=first)
        tracker = Tracker(config, config.to_dict(), resumed=bool(resumed))
        log.info("%s of %s parameters on %s, into %s", config.policy.type, _size(policy), accelerator.device, output)

    def save(at: int) -> None:
        folder = checkpoints.save_checkpoint(
            config=config,
            step=at,
            policy=policy,
            processors=processors,
            robots=robots,
            optimizer=optimizer,
            scheduler=scheduler,
            mixture_record=record,
            schedule_state=schedule.state(at),
        )
        log.info("checkpoint: %s%s", folder, _policies(folders))

    loader = make_loader(
        mixture,
        schedule,
        start=first,
        stop=config.steps,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        num_workers=config.num_workers,
        prefetch_factor=config.prefetch_factor,
        pin_memory=accelerator.device.type == "cuda",
        worker_init_fn=ignore_signals,
    )
    no_bar = None if accelerator.is_main_process else True  # None: a bar on a terminal, none in a log file
    progress = tqdm(total=config.steps, initial=first, unit="step", disable=no_bar)
    window = Window(len(names), accelerator.device)
    learner.train()
    step = first
    with stop_on_signals() as stop, progress, closing(loader):
        with signals_held():
            batches = iter(loader)  # starts the workers
        while step < config.steps:
            asked = time.perf_counter()
            batch = next(batches)
            waited = time.perf_counter() - asked

            # All randomness of a step (dropout, latents, noise) is named by the step: a resumed run repeats it.
            torch.manual_seed(key_of(config.seed, "step", step, accelerator.process_index) >> 1)
            source = batch["dataset_index"]
            inputs = processors(on_device(batch, mixture.camera_keys, accelerator.device), group_of_source[source])
            with accelerator.autocast():
                objective = Objective(*learner(inputs, inputs.get("action_dim_is_pad")))
                valid = accelerator.reduce(objective.weights.sum().detach(), "mean")
                loss = objective.total(valid, loss_weights(source))
            accelerator.backward(loss)
            norm = accelerator.clip_grad_norm_(learner.parameters(), clip if clip > 0 else float("inf"))
            optimizer.step()
            optimizer.zero_grad()
            if scheduler is not None:
                scheduler.step()
            if hasattr(policy, "update"):
                policy.update()

            step += 1
            progress.update()
            window.add(loss, torch.as_tensor(norm), objective if len(objective.errors) else None, source, waited)
            stopping = _any_rank(accelerator, stop)
            last = step == config.steps or stopping
            if last or (config.log_freq > 0 and step % config.log_freq == 0):
                report = _report(window, accelerator, schedule, step, optimizer, names)
                if accelerator.is_main_process:
                    log.info(log_line(report, config.steps))
                    metrics.write(report)
                    tracker.log(report)
                window = Window(len(names), accelerator.device)
            saves = config.save_checkpoint and (last or (config.save_freq > 0 and step % config.save_freq == 0))
            if saves:
                if accelerator.is_main_process:
                    save(step)
                accelerator.wait_for_everyone()
            if validator.is_due(step):
                with window.paused():
                    validated = validator(learner, processors, group_of_source, step, stop)
                if validated is not None and accelerator.is_main_process:
                    metrics.write(validated)
                    tracker.log(validated)
                learner.train()
            if evaluator.is_due(step):
                if accelerator.is_main_process:
                    try:
                        with window.paused():
                            result = evaluator(policy, processors.by_group, step, robots)
                    except RobomixError:
                        if config.save_checkpoint and not saves:
                            save(step)  # a simulator that fails must not take the training with it
                        raise
                    metrics.write(result)
                    tracker.log(result)
                accelerator.wait_for_everyone()
                learner.train()
            if stopping:
                break

    if accelerator.is_main_process:
        if (held_out := validator.table()) is not None:
            Console().print(held_out)
        tracker.finish()
        if stop:
            log.info("stopped at step %d by %s%s", step, stop.name, _how_to_go_on(config))
    return stop.exit_code


def _policies(folders: dict[str, str]) -> str:
    """Which of a checkpoint's policy folders is for which source, where there are several."""
    if len(set(folders.values())) == 1:
        return ""
    places = [f"{name} in {checkpoints.PRETRAINED}/{checkpoints.folder_name(own)}" for name, own in folders.items()]
    return ", policies of " + ", ".join(places)


def _how_to_go_on(config: TrainConfig) -> str:
    return f"; --resume=true --output_dir={config.output_dir} goes on" if config.save_checkpoint else ""


def _size(policy: Any) -> str:
    count = sum(p.numel() for p in policy.parameters())
    return f"{count / 1e6:.2f} million" if count >= 1e4 else f"{count:,}"


def _print_mixture(mixture: Mixture, table: Any, stages: Any) -> None:
    """The shares, what a chunk lasts, and what the policy is to see: features with their shapes, and who lacks them."""
    console = Console()
    console.print(as_table(table))
    if stages is not None:
        console.print(stages)
    if lasting := chunk_durations(mixture.sources, mixture.horizons):
        console.print(lasting, highlight=False, soft_wrap=True)
    for key, feature in mixture.schema.features.items():
        lacking = mixture.schema.lacking.get(key)
        note = f", zeros marked as padding in {', '.join(lacking)}" if lacking else ""
        if mixture.schema.condition is not None and (front := mixture.schema.in_front(key)):
            note = f", of which the first {front} tell the {mixture.schema.condition.on}{note}"
        shape = " x ".join(map(str, feature.shape))
        console.print(f"{key}: {shape}{note}", highlight=False, soft_wrap=True)


def _warn_if_unmasked(learner: Learner, mixture: Mixture) -> None:
    if learner.masks_padding:
        return
    widths = {source.features["action"].valid_dim for source in mixture.sources if "action" in source.features}
    dimensions = " and ".join(map(str, sorted(widths)))
    log.warning(
        "robomix has no masked loss for policy %r: the steps after an episode's end%s count as data, unless the policy "
        "masks them itself",
        learner.policy.config.type,
        f" and the zeros that pad actions of {dimensions} dimensions" if len(widths) > 1 else "",
    )


def _any_rank(accelerator: Any, stop: Any) -> bool:
    """Whether any rank was asked to stop: all must leave the loop at the same step."""
    if accelerator.num_processes == 1:
        return bool(stop)
    asked = torch.tensor(int(bool(stop)), device=accelerator.device)
    return bool(accelerator.reduce(asked, "sum").item())


def _report(
    window: Window, accelerator: Any, schedule: Schedule, step: int, optimizer: Any, names: list[str]
) -> dict[str, Any]:
    averages = window.reduced(accelerator, names)
    drawn = schedule.consumed(step)
    return averages | {
        "step": step,
        "lr": optimizer.param_groups[0]["lr"],
        "samples_per_s": averages["steps_per_s"] * schedule.batch_size,
        "samples_per_source": {name: int(n) for name, n in zip(names, drawn, strict=True)},
        "epochs_per_source": {s.name: int(n) / s.frames for s, n in zip(schedule.streams, drawn, strict=True)},
    }
