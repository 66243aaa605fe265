"""Where a policy is shown a black picture in place of a camera that a dataset does not have."""

import logging
from collections.abc import Mapping

from robomix.mixture.dataset import Mixture
from robomix.training.policy_cuts import PADDED_INSIDE, has_cuts
from robomix.training.robots import Robot

log = logging.getLogger(__name__)


def warn_of_black_pictures(kind: str, mixture: Mixture, robots: Mapping[str, Robot] | None) -> None:
    """A warning for each camera that some sources lack and that a policy of type `kind` sees in their samples.

    Policies that pad inside mask it in each sample. Others see it, but where a robot of its own goes without.
    """
    if kind in PADDED_INSIDE:
        return
    for camera in mixture.camera_keys:
        if sources := _shown_black(mixture.schema.lacking.get(camera, ()), camera, robots):
            log.warning(
                "policy %r sees black pictures as %r in the samples of %s, which %s no such camera, and it cannot "
                "mask them. %s",
                kind,
                camera,
                " and of ".join(map(repr, sources)),
                "has" if len(sources) == 1 else "have",
                "With a `group` of its own a robot goes without."
                if has_cuts(kind)
                else "`features: intersection` leaves such cameras out.",
            )


def _shown_black(lacking: tuple[str, ...], camera: str, robots: Mapping[str, Robot] | None) -> list[str]:
    """Of the sources `lacking` the camera, those whose samples show it to the policy."""
    if robots is None:
        return list(lacking)
    return [name for robot in robots.values() if camera in robot.features for name in robot.sources if name in lacking]
