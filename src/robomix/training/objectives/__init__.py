"""What a policy's loss is over samples that are partly padding, and over several sources at once.

LeRobot's policies average over every action dimension of the batch, so a robot with 4 dimensions padded to 14 gets 4/14
of the gradient. Here a padded dimension and a padded time step contribute nothing: the error of a time step is averaged
over the sample's real dimensions, and the loss over all valid time steps. Where nothing is padded this is LeRobot's own
loss. One adapter per policy type; a policy without one is trained on its own loss.
"""

from robomix.training.objectives.learner import ADAPTERS, Learner
from robomix.training.objectives.objective import Adapter, Objective, masked, valid_entries

__all__ = ["ADAPTERS", "Adapter", "Learner", "Objective", "masked", "valid_entries"]
