"""Bringing sources behind one schema, and what is said when they do not fit."""

import numpy as np
import pytest

from robomix.errors import AlignmentError, ConfigError
from robomix.mixture.alignment import align
from tests.memory import ArrayDataset, mixture, source


def dataset(**columns: np.ndarray) -> ArrayDataset:
    n = len(next(iter(columns.values())))
    return ArrayDataset({key.replace("__", "."): value for key, value in columns.items()}, [n])


ONES = np.ones((4, 2), dtype=np.float32)
PICTURES = np.zeros((4, 3, 8, 8), dtype=np.uint8)


def test_union_keeps_everything_and_names_who_lacks_what() -> None:
    schema = align([source(dataset(action=ONES, x=ONES), "a"), source(dataset(action=ONES, y=ONES), "b")], "union")
    assert list(schema.features) == ["action", "x", "y"]
    assert schema.lacking == {"x": ("b",), "y": ("a",)}
    assert schema.dropped == {}


def test_intersection_keeps_what_all_have_and_names_the_rest() -> None:
    sources = [source(dataset(action=ONES, x=ONES), "a"), source(dataset(action=ONES, y=ONES), "b")]
    schema = align(sources, "intersection")
    assert list(schema.features) == ["action"]
    assert schema.dropped == {"x": ("a",), "y": ("b",)}


def test_nothing_in_common_is_an_error_that_lists_what_each_has() -> None:
    with pytest.raises(AlignmentError, match=r"no feature in common:\n  a: x\n  b: y"):
        align([source(dataset(x=ONES), "a"), source(dataset(y=ONES), "b")], "intersection")


def test_feature_map_renames_and_drops() -> None:
    made = source(dataset(actions=ONES, junk=ONES, keep=ONES), feature_map={"actions": "action", "junk": None})
    assert list(made.features) == ["action", "keep"]


def test_names_can_be_swapped() -> None:
    data = dataset(left=ONES, right=2 * ONES)
    made = mixture(source(data, feature_map={"left": "right", "right": "left"}))
    assert made[0]["left"].tolist() == [2, 2]
    assert made[0]["right"].tolist() == [1, 1]


def test_mapping_onto_a_feature_that_stays_is_refused() -> None:
    with pytest.raises(ConfigError, match="both 'a' and 'b' would be called 'b'"):
        source(dataset(a=ONES, b=ONES), feature_map={"a": "b"})


def test_mapping_what_is_not_there_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"names 'acton', which is not there. Did you mean 'action'\?"):
        source(dataset(action=ONES), feature_map={"acton": "x"})


def test_cameras_of_different_size_are_refused_with_the_transform_to_add() -> None:
    large = np.zeros((4, 3, 16, 24), dtype=np.uint8)
    with pytest.raises(AlignmentError, match=r"type: resize_images, kwargs: \{height: 8, width: 8\}"):
        align([source(dataset(cam=PICTURES), "a"), source(dataset(cam=large), "b")], "union")


def test_a_camera_and_a_vector_of_one_name_are_refused() -> None:
    with pytest.raises(AlignmentError, match="different things"):
        align([source(dataset(x=PICTURES), "a"), source(dataset(x=ONES), "b")], "union")


def test_matrices_of_different_shape_are_refused() -> None:
    with pytest.raises(AlignmentError, match="Only vectors can be padded"):
        align([source(dataset(x=np.ones((4, 2, 2))), "a"), source(dataset(x=np.ones((4, 2, 3))), "b")], "union")


def test_number_types_are_brought_to_one() -> None:
    whole, real = np.ones((4, 2), dtype=np.int32), np.ones((4, 2), dtype=np.float64)
    schema = align([source(dataset(extra=whole), "a"), source(dataset(extra=real), "b")], "union")
    assert schema.features["extra"].dtype == "float64"


def test_episodes_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"episodes \[5\] do not exist; .* has 1 episodes, numbered 0 to 0"):
        source(dataset(action=ONES), episodes=[0, 5])


def test_a_source_that_the_policy_leaves_nothing_of_is_refused() -> None:
    with pytest.raises(AlignmentError, match="no frame can be drawn"):
        source(dataset(action=ONES), drop=4)


def test_a_horizon_for_what_is_not_there_is_refused() -> None:
    with pytest.raises(AlignmentError, match=r"delta_indices asks for 'actoin'.* Did you mean 'action'"):
        mixture(source(dataset(action=ONES)), horizons={"actoin": [0, 1]})
