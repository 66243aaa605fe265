"""A mixture at training resolution: each source as a dataset of small frames, and the mixture file that takes them."""
