"""How a source's transforms are undone in actions: which steps, in which names, and what they refer to.

Going back through the steps, the action may be made of other features (`concat`), and be relative to observations
(`delta_action`). Steps that only change observations have nothing to undo.
"""

from dataclasses import dataclass

from robomix.errors import AlignmentError, RobomixError
from robomix.features import ACTION
from robomix.mixture.source import Source
from robomix.mixture.transforms import DatasetTransformStep
from robomix.mixture.transforms.joining import Split


@dataclass(frozen=True)
class Undo:
    """What undoes one transform."""

    step: DatasetTransformStep | None
    """Is given the actions and what they refer to; None: nothing is to be undone."""
    refers_to: frozenset[str]
    """Observations, as the transform was given them."""
    at_plan_start: bool
    """Whether they are those of the moment when the policy planned, and not those of the present."""


def undoing(source: Source) -> tuple[list[Undo], frozenset[str]]:
    """What undoes each transform of `source`, in their order, and the dataset's features that the action is made of.

    Raises AlignmentError, naming source and transform, where a step has no inverse.
    """
    told = frozenset({ACTION})
    undos: list[Undo] = []
    for i in reversed(range(len(source.transforms))):
        transform = source.transforms[i]
        try:
            step = transform.inverse()
        except RobomixError as error:
            raise AlignmentError(f"{source.place_of(i)}: {error}") from None
        asked = transform.windows(dict.fromkeys(told))
        before = told if asked is None else frozenset(asked)
        if isinstance(step, Split) and step.key in told:
            before, refers_to = (told - {step.key}) | set(step.to), frozenset[str]()
        elif before & told:  # changed where it stands; what else is asked for is what it is relative to
            before, refers_to = told, before - told
        else:  # made of something else
            refers_to = frozenset[str]()
        undos.insert(0, Undo(step, refers_to, bool(transform.relative(frozenset()) & told)))
        told = before
    return undos, told
