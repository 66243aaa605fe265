"""A recording for the Rerun viewer, with names and timelines as LeRobot's `lerobot-dataset-viz` has them.

Below a prefix lie cameras by their key, `action`, `state` for `observation.state`, and other numbers by their key; an
episode's values are at `frame_index` and `timestamp`. Pictures are JPEG files, so that a recording stays small.
File format and viewer: https://rerun.io
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from robomix.errors import ConfigError
from robomix.features import Feature

ABOUT = "about"
"""Where the text of a sample or an episode lies."""
_ENTITY = {"observation.state": "state"}
"""What LeRobot's visualizer calls a feature otherwise than by its key."""


def import_rerun() -> Any:
    """The package rerun. Raises ConfigError where it is not installed."""
    try:
        import rerun
        import rerun.blueprint
    except ImportError as error:
        raise ConfigError(
            f"robomix view needs the package rerun-sdk, which cannot be imported: {error}. "
            "Install it with the extra `view`: pip install 'robomix[view]'."
        ) from error
    return rerun


def entity_of(key: str) -> str:
    """The last part of the entity path of a feature."""
    return _ENTITY.get(key, key)


class Recording:
    """An .rrd file that is being written. One name of a path may hold any letters, slashes too."""

    def __init__(self, rerun: Any, stream: Any, jpeg_quality: int) -> None:
        self._rerun, self._stream, self._quality = rerun, stream, jpeg_quality

    def at(self, **times: int | float) -> None:
        """Where on the timelines what is logged next lies: whole numbers count, others are seconds."""
        for name, time in times.items():
            kind = {"sequence": time} if isinstance(time, int) else {"timestamp": time}
            self._stream.set_time(name, **kind)

    def leave_timelines(self) -> None:
        """What is logged next does not lie at the times of what was before."""
        self._stream.reset_time()

    def picture(self, place: Sequence[str], image: np.ndarray) -> None:
        """A camera frame (C, H, W) uint8, of 1, 3 or 4 channels; of the latter the first three."""
        pixels = image[:3].transpose(1, 2, 0)
        colours = {"color_model": "L"} if pixels.shape[2] == 1 else {"color_model": "RGB"}
        made = self._rerun.Image(pixels[..., 0] if pixels.shape[2] == 1 else pixels, **colours)
        self._log(place, made.compress(jpeg_quality=self._quality))

    def numbers(self, place: Sequence[str], values: np.ndarray) -> None:
        """The values of one frame, of any shape: one curve for each."""
        self._log(place, self._rerun.Scalars(np.asarray(values, dtype=np.float64).reshape(-1)))

    def curve_names(self, place: Sequence[str], names: Sequence[str]) -> None:
        """What the curves of a place are called."""
        self._log(place, self._rerun.SeriesLines(names=list(names)), static=True)

    def text(self, place: Sequence[str], text: str) -> None:
        """A text that holds until the next."""
        self._log(place, self._rerun.TextDocument(text))

    def frame_label(self, place: Sequence[str], shape: Sequence[int], text: str | None) -> None:
        """A box with `text` around the pictures (C, H, W) of a place from here on; None takes it away."""
        _, height, width = shape
        box = self._rerun.Boxes2D(mins=[[0, 0]], sizes=[[width, height]], labels=[text or ""], show_labels=True)
        self._log([*place, "label"], box if text else self._rerun.Clear(recursive=False))

    def _log(self, place: Sequence[str], what: Any, *, static: bool = False) -> None:
        self._stream.log(self._rerun.new_entity_path(list(place)), what, static=static)


@contextmanager
def recording(
    path: Path, tabs: Mapping[tuple[str, ...], Mapping[str, Feature]], jpeg_quality: int
) -> Iterator[Recording]:
    """A recording that is written to `path`; complete when the block ends.

    The viewer shows a tab for each of `tabs`: a place, with the features that lie below it.
    """
    rerun = import_rerun()
    stream = rerun.RecordingStream("robomix")
    stream.save(path, default_blueprint=_blueprint(rerun, tabs))
    try:
        yield Recording(rerun, stream, jpeg_quality)
    finally:
        stream.disconnect()


def _blueprint(rerun: Any, tabs: Mapping[tuple[str, ...], Mapping[str, Feature]]) -> Any:
    """Cameras and curves of each tab in a grid."""
    views = rerun.blueprint
    grids = []
    for place, features in tabs.items():
        made = []
        for key, feature in features.items():
            view = views.Spatial2DView if feature.is_camera else views.TimeSeriesView
            made.append(view(origin=rerun.new_entity_path([*place, entity_of(key)]), name=entity_of(key)))
        made.append(views.TextDocumentView(origin=rerun.new_entity_path([*place, ABOUT]), name=ABOUT))
        grids.append(views.Grid(*made, name=" ".join(place)))
    return views.Blueprint(views.Tabs(*grids))
