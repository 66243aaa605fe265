"""Engines carry out writing: many files, each written by a pure function of what it consists of, in any order.

`processes` does it with processes of this machine, `cluster` with Ray. Which one, and how many work, changes no byte.
"""
