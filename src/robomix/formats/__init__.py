"""Datasets on disk, whatever their format, behind one `open_dataset(path)`."""

from robomix.formats.base import Dataset, Episodes, FrameGroup
from robomix.formats.detect import open_dataset

__all__ = ["Dataset", "Episodes", "FrameGroup", "open_dataset"]
