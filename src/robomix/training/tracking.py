"""Weights & Biases, when the run asks for it. The JSON lines of `metrics` are always written."""

from pathlib import Path
from typing import Any

from robomix.errors import ConfigError


class Tracker:
    """Sends reports to a wandb run; does nothing when `wandb.enable` is false."""

    def __init__(self, config: Any, plain_config: dict[str, Any], resumed: bool) -> None:
        """`config` is a TrainConfig. Raises ConfigError where wandb is asked for and not installed."""
        self._run: Any = None
        if not config.wandb.enable:
            return
        try:
            import wandb
        except ImportError:
            raise ConfigError("--wandb.enable=true needs the package wandb: pip install wandb") from None
        folder = Path(config.output_dir)
        id_file = folder / "wandb_run_id"
        known = id_file.read_text().strip() if resumed and id_file.exists() else config.wandb.run_id
        self._run = wandb.init(
            id=known,
            project=config.wandb.project,
            entity=config.wandb.entity,
            notes=config.wandb.notes,
            mode=config.wandb.mode,
            name=config.job_name,
            dir=str(folder),
            config=plain_config,
            resume="allow" if resumed else None,
        )
        id_file.write_text(self._run.id)

    def log(self, record: dict[str, Any]) -> None:
        """`record` of a step, nested names joined by `/`."""
        if self._run is not None:
            self._run.log(_flat(record), step=record["step"])

    def finish(self) -> None:
        if self._run is not None:
            self._run.finish()


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        below = _flat(value) if isinstance(value, dict) else None
        flat |= {name: value} if below is None else {f"{name}/{k}": v for k, v in below.items()}
    return flat
