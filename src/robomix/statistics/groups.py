"""The folder of a normalization group, in files of statistics and in checkpoints."""


def folder_name(group: str) -> str:
    """A group's name as the name of one folder: repo ids have a slash."""
    return group.replace("/", "--")
