"""Camera statistics from histograms equal numpy's on the pixels counted, to the last quantile."""

import numpy as np
import pytest

from robomix.formats.lerobot.write_stats import PixelCounts, column_stats, sampled_frames
from robomix.summaries import QUANTILES


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 3), (5, 5), (40, 60)])
def test_pixel_statistics_are_those_of_numpy(size: tuple[int, int]) -> None:
    frames = np.random.default_rng(size).integers(0, 256, (3, 3, *size)).astype(np.uint8)
    counts, rest = PixelCounts(), PixelCounts()
    counts.add(frames[0])
    for image in frames[1:]:
        rest.add(image)
    counts.merge(rest)
    stats, values = counts.stats(), frames / 255
    for name in ("min", "max", "mean", "std"):
        assert np.allclose(stats[name][:, 0, 0], getattr(np, name)(values, axis=(0, 2, 3)), rtol=0, atol=1e-12)
    for name, q in QUANTILES.items():
        assert np.allclose(stats[name][:, 0, 0], np.quantile(values, q, axis=(0, 2, 3)), rtol=0, atol=1e-12), name
    assert stats["mean"].shape == (3, 1, 1)
    assert stats["count"].tolist() == [3]


def test_large_pictures_are_thinned_evenly() -> None:
    image = np.zeros((3, 480, 640), np.uint8)
    image[:, :, 320:] = 200
    counts = PixelCounts()
    counts.add(image)
    assert counts.counts[0].sum() == 120 * 160
    assert counts.stats()["mean"][0, 0, 0] == 100 / 255


def test_sampled_frames_cover_the_episode() -> None:
    assert sampled_frames(1) == {0}
    assert sampled_frames(7) == set(range(7))
    assert len(sampled_frames(5000)) == 100
    assert {0, 4999} <= sampled_frames(5000)


def test_column_statistics_keep_the_shape_of_the_feature() -> None:
    values = np.arange(24.0).reshape(4, 2, 3)
    stats = column_stats(values, (2, 3))
    assert np.array_equal(stats["max"], values[3])
    assert np.array_equal(stats["q50"], np.median(values, axis=0))
    assert column_stats(np.arange(5), ())["mean"].tolist() == [2.0]
    assert stats["count"].tolist() == [4]
