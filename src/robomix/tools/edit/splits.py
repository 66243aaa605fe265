"""What becomes of a dataset's named ranges of episodes when its episodes change."""

from collections.abc import Mapping, Sequence

from robomix.tools.build.content import Content, Episode


def splits_of(content: Content, episodes: Sequence[Episode]) -> Mapping[str, str]:
    """The splits of `content` for some of its episodes, in any order.

    A range of which all that is left lies together keeps its name. If any does not, or nothing is left of it, there
    are no names: a part of them would say the wrong thing of the rest.
    """
    place = {id(episode): i for i, episode in enumerate(content.episodes)}
    order = [place[id(episode)] for episode in episodes]
    made = {}
    for name, text in content.splits.items():
        start, stop = map(int, text.split(":"))
        inside = [new for new, old in enumerate(order) if start <= old < stop]
        if not inside or inside != list(range(inside[0], inside[-1] + 1)):
            return {}
        made[name] = f"{inside[0]}:{inside[-1] + 1}"
    return made
