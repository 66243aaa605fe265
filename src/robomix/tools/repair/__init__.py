"""Mending damaged datasets: `robomix repair`.

A damaged LeRobot dataset is read for what can be told from it, whatever its metadata says (`rows`, `footage`, `texts`,
`declarations`), into the content of a new dataset of the same version (`recover`), which the engine of all tools then
writes: counters, windows, statistics, paths and row groups come out right because they are made anew. Frames and
numbers are copied as they are. Whatever drops, alters or guesses something needs a flag of its own (`consent`).
Robomimic's HDF5 files are copied and mended in the copy (`robomimic`). The source is never written to.
"""
