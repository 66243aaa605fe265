"""An inspection: every dataset that some paths mean, how they fit each other, and a mixture file that fits them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from robomix.errors import ConfigError, FormatError, did_you_mean
from robomix.files import expanded
from robomix.remote.mirror import local_path
from robomix.remote.places import shown
from robomix.source_names import source_names
from robomix.tools.inspect.compatibility import compare
from robomix.tools.inspect.copies import own_episodes
from robomix.tools.inspect.describe import Opened, describe, open_for_inspection
from robomix.tools.inspect.description import DatasetDescription, Inspection, Unreadable
from robomix.tools.inspect.find import find_datasets
from robomix.tools.inspect.mixture_text import mixture_text
from robomix.tools.inspect.suggestion import suggest

ANY = ""
"""Key of the rate that is meant for every dataset that says none."""


def inspect_datasets(paths: Sequence[str | Path], fps: Mapping[str, float] | None = None) -> Inspection:
    """Everything about the datasets at `paths`, and below those that are folders of datasets.

    `fps` has rates by the datasets' names, for those whose files say none; under the key ANY, for all of these.
    What cannot be read is in `unreadable`. Raises ConfigError where `fps` names no dataset.
    """
    rates = dict(fps or {})
    places = find_datasets([local_path(expanded(path)) for path in paths])
    names = source_names([{"root": str(place)} for place in places])
    if unknown := [name for name in rates if name not in (ANY, *names)]:
        hint = did_you_mean(unknown[0], names)
        raise ConfigError(f"fps: there is no dataset {unknown[0]!r}.{hint} There is: {', '.join(names)}")
    opened: dict[str, Opened] = {}
    datasets: list[DatasetDescription] = []
    unreadable: list[Unreadable] = []
    for name, place in zip(names, places, strict=True):
        try:
            one = open_for_inspection(place, rates.get(name), default_fps=rates.get(ANY))
            datasets.append(describe(one, name))
            opened[name] = one
        except FormatError as error:
            unreadable.append(Unreadable(shown(place), str(error)))
    compatibility = compare(datasets) if len(datasets) > 1 else None
    return Inspection(tuple(datasets), tuple(unreadable), compatibility, _suggestion(datasets, opened, unreadable))


def _suggestion(
    datasets: Sequence[DatasetDescription], opened: Mapping[str, Opened], unreadable: Sequence[Unreadable]
) -> str | None:
    own = own_episodes({name: one.dataset for name, one in opened.items()})
    given = {name: float(one.dataset.fps) for name, one in opened.items() if one.fps_is_given}
    suggestion = suggest(datasets, own, given)
    return mixture_text(suggestion, unreadable) if suggestion.used else None
