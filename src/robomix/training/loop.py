"""The training loop. It reads from top to bottom:

open the datasets, align and schedule them, compute statistics, build policy and optimizer, then step by step: a batch,
a loss, an update; now and then a report, a checkpoint, a rollout.

    robomix train --config_path mix.yaml
    accelerate launch -m robomix.train --config_path mix.yaml       # several processes: each takes its slice of a batch
"""

import logging
from typing import Any

from tqdm import tqdm

from robomix.training.between_steps import BetweenSteps
from robomix.training.config import TrainConfig
from robomix.training.drawn import Drawn, draw
from robomix.training.feeding import feeding
from robomix.training.learning import Learning, Measured, measure, prepare
from robomix.training.locking import write_asked
from robomix.training.messages import how_to_go_on, tell_what_learns
from robomix.training.ranks import any_rank, build_accelerator, lost_ranks_told
from robomix.training.reports import Reports
from robomix.training.saving import Saver
from robomix.training.signals import stop_on_signals
from robomix.training.step import Update
from robomix.training.validation import Validator

log = logging.getLogger(__name__)


def train(config: TrainConfig) -> int:
    """Runs the training `config` describes; returns the exit code: 0, or 128 + signal where one stopped it.

    Raises RobomixError for everything that is wrong with config or data, before the first step.
    """
    accelerator = build_accelerator(config)
    with lost_ranks_told(accelerator, lambda: how_to_go_on(config)):
        drawn = draw(config, accelerator)
        if config.dry_run and not config.lock:
            return 0
        if drawn.first >= config.steps:
            at = (drawn.first, config.steps)
            log.info("the run is at step %d of %d, nothing is left to do; --steps=N goes on", *at)
            return 0
        measured = measure(config, accelerator, drawn)
        if config.lock:
            if accelerator.is_main_process:
                write_asked(config, measured.lock)
            return 0
        learning = prepare(config, accelerator, drawn, measured)
        between_steps = _begin(config, accelerator, drawn, measured, learning)
        return _learn(config, accelerator, drawn, learning, between_steps)


def _begin(config: TrainConfig, accelerator: Any, drawn: Drawn, measured: Measured, learning: Learning) -> BetweenSteps:
    """Tries out what is to be done between the steps, and begins the output folder."""
    validator = Validator(config, learning.mixture, drawn.schedule, accelerator)
    if accelerator.is_main_process:
        with learning.shared.whole.on_device() as policy:
            drawn.evaluator.try_out(policy, learning.processors.by_group, learning.robots)
    reports = Reports(config, accelerator, drawn, measured.lock)
    if accelerator.is_main_process:
        tell_what_learns(config, accelerator, learning.size)
    save = Saver(config, drawn, measured, learning)
    return BetweenSteps(accelerator, learning, reports, save, validator, drawn.evaluator)


def _learn(config: TrainConfig, accelerator: Any, drawn: Drawn, learning: Learning, between_steps: BetweenSteps) -> int:
    """All steps from the first on, or those up to a signal; the exit code."""
    update, reports = Update(learning, accelerator, config.seed), between_steps.reports
    no_bar = None if accelerator.is_main_process else True  # None: a bar on a terminal, none in a log file
    progress = tqdm(total=config.steps, initial=drawn.first, unit="step", disable=no_bar)
    feed = feeding(config, accelerator, learning.mixture, drawn.schedule, drawn.first)
    learning.shared.learner.train()
    with stop_on_signals() as stop, progress, feed as batches:
        for step, parts, waited in batches:
            norm = update(step, parts, reports.window)
            done = step + 1
            progress.update()
            reports.window.add(norm, waited)
            stopping = any_rank(accelerator, bool(stop))
            between_steps(done, last=done == config.steps or stopping, stop=stop)
            if stopping:
                break
    between_steps.finish()
    if stopping and accelerator.is_main_process:
        by = stop.name if stop else "a signal to another rank"
        log.info("stopped at step %d by %s%s", done, by, how_to_go_on(config))
    return stop.exit_code
