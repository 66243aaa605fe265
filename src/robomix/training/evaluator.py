"""What a training evaluates, and when."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from robomix.errors import ConfigError, RobomixError
from robomix.mixture.source import Source
from robomix.training.config import TrainConfig
from robomix.training.drivers import PlainDriver, with_given, with_texts
from robomix.training.evaluation import Conditions, Result, as_table, environments_of, evaluate, evaluate_source
from robomix.training.lerobot import EvalConfig
from robomix.training.normalization import ProcessorPair
from robomix.training.robot_policy import policy_of_robot
from robomix.training.robots import Robot
from robomix.training.texts import agreed_text
from robomix.training.unread_prompts import READ_NO_TEXT

log = logging.getLogger(__name__)


class Evaluator:
    """Evaluates each source that says `eval: true`, or in the one simulator of `env`."""

    def __init__(self, config: TrainConfig, sources: Sequence[Source], groups: Mapping[str, str]) -> None:
        """`groups` is source name to that of its processors and robot. Raises ConfigError for environments that cannot
        be had.
        """
        self._config = config
        self._sources = {source.name: source for source in sources}
        self._groups = groups
        with _or_without():
            self._environments = environments_of(sources) if config.env_eval_freq > 0 else {}
        for name, environment in self._environments.items():
            where, every, episodes = environment.config.type, config.env_eval_freq, config.eval.n_episodes
            log.info("%s: %d episodes in %r every %d steps and at the end", name, episodes, where, every)
        if config.env is not None and "env" in self._environments:
            raise ConfigError("a dataset is named 'env', as the evaluation of --env.type is. Give it another `name`.")
        if config.env is not None and len(set(groups.values())) > 1:
            raise ConfigError(
                f"--env.type={config.env.type} is one robot, but the mixture tells {len(set(groups.values()))} "
                f"apart ({', '.join(dict.fromkeys(groups.values()))}). Give `env` to the dataset it belongs to."
            )
        self._text_of: Callable[[str], str] = str
        if config.env is not None and config.policy.type not in READ_NO_TEXT:
            self._text_of = agreed_text(sources, config.env.type)

    def is_due(self, step: int) -> bool:
        """Whether to evaluate after `step`: every `env_eval_freq` steps, and at the end."""
        every = self._config.env_eval_freq
        wanted = bool(self._environments) or self._config.env is not None
        return wanted and every > 0 and (step % every == 0 or step == self._config.steps)

    def try_out(
        self, policy: Any, processors: Mapping[str, ProcessorPair], robots: Mapping[str, Robot] | None = None
    ) -> None:
        """One step and one picture in each environment, to tell before the training what does not fit."""
        with _or_without(), tempfile.TemporaryDirectory() as folder:
            once = Conditions(EvalConfig(n_episodes=1, batch_size=1), max_steps=1, video_folder=Path(folder), videos=1)
            for name in self._environments:
                self._evaluate(name, policy, processors, robots, once)

    def __call__(
        self,
        policy: Any,
        processors: Mapping[str, ProcessorPair],
        step: int,
        robots: Mapping[str, Robot] | None = None,
    ) -> dict[str, Any]:
        """Evaluates `policy` with the processors of each group, prints a table; the record for the metrics.

        `robots`, by group, are those whose processors these are: each is evaluated with the policy of it alone.
        """
        folder = Path(self._config.output_dir) / "eval" / f"step_{step:06d}"
        conditions = Conditions(self._config.eval, video_folder=folder)
        results = [self._evaluate(name, policy, processors, robots, conditions) for name in self._environments]
        if self._config.env is not None:
            driver = PlainDriver(policy, with_texts(next(iter(processors.values())), self._text_of))
            results.append(evaluate("env", self._config.env, driver, policy, conditions))
        Console().print(as_table(results))
        return {"step": step, "eval": {result.name: result.record() for result in results}}

    def _evaluate(
        self,
        name: str,
        policy: Any,
        processors: Mapping[str, ProcessorPair],
        robots: Mapping[str, Robot] | None,
        conditions: Conditions,
    ) -> Result:
        source, environment, pair = self._sources[name], self._environments[name], processors[self._groups[name]]
        if robots is None:
            return evaluate_source(source, environment, policy, pair, conditions)
        robot = robots[self._groups[name]]
        own, pair = policy_of_robot(policy, robot), with_given(pair, robot.given)
        return evaluate_source(source, environment, own, pair, conditions, names=robot.names)


@contextmanager
def _or_without() -> Iterator[None]:
    """Errors inside keep a training from starting, which could do without evaluations."""
    try:
        yield
    except RobomixError as error:
        raise type(error)(f"{error}\n--env_eval_freq=0 trains without evaluations.") from error
