"""Experiments of robomimic: what their JSON configs say, as the plain data of a training."""
