"""Clusters of customers, where figures are hard to tell from rounding."""

import numpy as np

from worker.marts.models.clusters import fit_clusters


def test_what_is_the_same_for_all_has_no_deviation_to_be_measured_by() -> None:
    """The mean of equal doubles may be off by a digit: a deviation of 1e-15 would outweigh all other features of whoever comes later."""
    same = np.full(7, 100 / 7)
    clusters = fit_clusters(np.stack([np.arange(7.0), same], axis=1).repeat([3, 3], axis=1), count=2, starts=1, seed=42)
    assert same.std() > 0
    assert clusters is not None
    assert clusters.deviation.tolist() == [2.0, 2.0, 2.0, 1.0, 1.0, 1.0]
