"""What a training evaluates, and when."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from robomix.errors import AlignmentError, ConfigError
from robomix.mixture.source import Source
from robomix.training.checkpoint import folder_name
from robomix.training.config import TrainConfig
from robomix.training.drivers import PlainDriver, Processors
from robomix.training.evaluation import EVALUATION_SEED, as_table, environments_of, evaluate, evaluate_source
from robomix.training.lerobot import EvalConfig
from robomix.training.rollouts import Filming

VIDEOS = 4
"""Episodes of each environment that are kept as videos."""


class Evaluator:
    """Evaluates each source that says `eval: true`, or in the one simulator of `env`."""

    def __init__(self, config: TrainConfig, sources: Sequence[Source], groups: Mapping[str, str]) -> None:
        """`groups` is source name to normalization group. Raises ConfigError for environments that cannot be had."""
        self._config = config
        self._sources = {source.name: source for source in sources}
        self._groups = groups
        with _or_without():
            self._environments = environments_of(sources) if config.env_eval_freq > 0 else {}
        if config.env is not None and len(set(groups.values())) > 1:
            raise ConfigError(
                f"--env.type={config.env.type} is one robot, but the mixture normalizes {len(set(groups.values()))} "
                f"groups apart ({', '.join(dict.fromkeys(groups.values()))}). Give `env` to the dataset it belongs to."
            )

    def is_due(self, step: int) -> bool:
        """Whether to evaluate after `step`: every `env_eval_freq` steps, and at the end."""
        every = self._config.env_eval_freq
        wanted = bool(self._environments) or self._config.env is not None
        return wanted and every > 0 and (step % every == 0 or step == self._config.steps)

    def try_out(self, policy: Any, processors: Mapping[str, Processors]) -> None:
        """One step in each environment, so that what does not fit is told before the training and not after it."""
        once = EvalConfig(n_episodes=1, batch_size=1)
        for name, environment in self._environments.items():
            source, pair = self._sources[name], processors[self._groups[name]]
            with _or_without():
                evaluate_source(source, environment, policy, pair, once, seed=EVALUATION_SEED, max_steps=1)

    def __call__(self, policy: Any, processors: Mapping[str, Processors], step: int) -> dict[str, Any]:
        """Evaluates `policy` with the processors of each group, prints a table; the record for the metrics."""
        config, results = self._config, []
        folder = Path(config.output_dir) / "eval" / f"step_{step:06d}"
        for name, environment in self._environments.items():
            videos = Filming(folder / folder_name(name), VIDEOS)
            pair = processors[self._groups[name]]
            source = self._sources[name]
            results.append(
                evaluate_source(source, environment, policy, pair, config.eval, seed=EVALUATION_SEED, videos=videos)
            )
        if config.env is not None:
            driver = PlainDriver(policy, next(iter(processors.values())))
            videos = Filming(folder, VIDEOS)
            results.append(
                evaluate("env", config.env, driver, policy, config.eval, seed=EVALUATION_SEED, videos=videos)
            )
        Console().print(as_table(results))
        return {"step": step, "eval": {result.name: result.record() for result in results}}


@contextmanager
def _or_without() -> Iterator[None]:
    """Errors inside keep a training from starting, which could do without evaluations."""
    try:
        yield
    except (ConfigError, AlignmentError) as error:
        raise type(error)(f"{error}\n--env_eval_freq=0 trains without evaluations.") from error
