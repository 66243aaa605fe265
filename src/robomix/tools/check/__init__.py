"""Finding what is wrong with datasets, before a training finds it.

A *defect* is one way in which a dataset can be wrong; it has an id such as E04, which tools, tests and documents use.
A *finding* is one place where a dataset has a defect. Defects are found by *checks*, which come in families by what
they look at. A check reads a dataset as it lies on disk, however damaged, through `RawLeRobot`, never through the
reader that trainings use, which refuses damage.
"""
