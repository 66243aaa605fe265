"""What a training does now and then between two steps: a report, a checkpoint, a validation, an evaluation."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console

from robomix.errors import RobomixError
from robomix.training.evaluator import Evaluator
from robomix.training.learning import Learning
from robomix.training.reports import Reports
from robomix.training.saving import Saver
from robomix.training.signals import StopRequest
from robomix.training.validation import Validator


@dataclass(frozen=True)
class BetweenSteps:
    """Does what is due, on all ranks; leaves the policy as it was."""

    accelerator: Any
    learning: Learning
    reports: Reports
    save: Saver
    validator: Validator
    evaluator: Evaluator

    def __call__(self, step: int, *, last: bool, stop: StopRequest) -> None:
        """`step` steps are done; after the `last` there is a report and a checkpoint, too."""
        saves, evaluates = self.save.is_due(step, last=last), self.evaluator.is_due(step)
        if last or self.reports.is_due(step):
            self.reports.report(step, self.learning.shared.optimizer)
        if saves or evaluates:
            self.learning.shared.whole.gather()
        if saves:
            if self.accelerator.is_main_process:
                self.save(step)
            self.accelerator.wait_for_everyone()
        if self.validator.is_due(step):
            self._validate(step, stop)
        if evaluates:
            if self.accelerator.is_main_process:
                self._evaluate(step, is_saved=saves)
            self.accelerator.wait_for_everyone()
            self.learning.shared.learner.train()

    def finish(self) -> None:
        """After the last step that was made."""
        if self.accelerator.is_main_process and (held_out := self.validator.table()) is not None:
            Console().print(held_out)
        self.reports.finish()

    def _validate(self, step: int, stop: StopRequest) -> None:
        learning, learner = self.learning, self.learning.shared.learner
        with self.reports.window.paused():
            record = self.validator(learner, learning.processors, learning.group_of_source, step, stop)
        if record is not None:
            self.reports.write(record)
        learner.train()

    def _evaluate(self, step: int, *, is_saved: bool) -> None:
        learning = self.learning
        try:
            with self.reports.window.paused(), learning.shared.whole.on_device() as policy:
                record = self.evaluator(policy, learning.processors.by_group, step, learning.robots)
        except RobomixError:
            if self.save.is_wanted and not is_saved:
                self.save(step)  # a simulator that fails must not take the training with it
            raise
        self.reports.write(record)
