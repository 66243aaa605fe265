"""How datasets fit each other under their own names: key by key, what they agree in and what a mixture must settle."""

from collections.abc import Sequence

from robomix.tools.inspect.description import Compatibility, DatasetDescription, FeatureDescription, KeyComparison


def compare(datasets: Sequence[DatasetDescription]) -> Compatibility:
    """The table of `datasets`: numbers and cameras, keys of the first dataset first."""
    keys = dict.fromkeys(f.key for one in datasets for f in one.features if f.kind in ("numeric", "camera"))
    return Compatibility(
        datasets=tuple(one.name for one in datasets),
        fps=tuple(one.fps for one in datasets),
        robots=tuple(one.robot_type for one in datasets),
        keys=tuple(_compared(key, datasets) for key in keys),
    )


def _compared(key: str, datasets: Sequence[DatasetDescription]) -> KeyComparison:
    found = [one.feature(key) for one in datasets]
    having = [feature for feature in found if feature is not None]
    lacking = [one.name for one, feature in zip(datasets, found, strict=True) if feature is None]
    cells = tuple(None if feature is None else f"{feature.dtype} {shape_text(feature)}" for feature in found)
    return KeyComparison(key, cells, tuple(lacking), _difference(having) if len(having) > 1 else None, _names(having))


def _difference(features: Sequence[FeatureDescription]) -> str:
    """What features of one key differ in, most troublesome first."""
    first = features[0]
    if any(f.kind != first.kind or len(f.shape) != len(first.shape) for f in features):
        return "different things under one name: map one of them to another"
    if any(f.shape != first.shape for f in features):
        if first.kind == "camera":
            return "sizes differ: resize_images brings them together"
        if len(first.shape) == 1:
            return f"widths differ: padded to {max(f.shape[0] for f in features)}"
        return "shapes differ: only vectors can be padded"
    if any(f.dtype != first.dtype for f in features):
        return "same shape, number types differ"
    return "the same"


def _names(features: Sequence[FeatureDescription]) -> str | None:
    """Whether entries of a vector are called the same where several say how."""
    named = [feature.names for feature in features if feature.names and len(feature.shape) == 1]
    if len(named) < 2:
        return None
    if all(names == named[0] for names in named):
        return "the same entries"
    shortest = min(map(len, named))
    same_start = all(names[:shortest] == named[0][:shortest] for names in named)
    return "the same entries as far as they go" if same_start else "entries of other names at the same places"


def shape_text(feature: FeatureDescription) -> str:
    """(7), (3, 480, 640), or () for a number."""
    return f"({', '.join(map(str, feature.shape))})"
