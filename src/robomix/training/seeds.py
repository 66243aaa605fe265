"""Where seeds of episodes begin."""

EVALUATION_SEED = 1_000_000
"""Of the first evaluated episode, whatever the training's seed: far from demonstrations, the same for all policies."""
