"""Merging: the samples of a mixture, written down as one dataset.

`sources` says what a dataset of the mixture contributes as content, with rows and videos as they lie wherever the
mixture file changes nothing about them; `transformed` has what its transforms make; `merge` puts all together.
"""
