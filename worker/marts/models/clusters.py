"""Customers in clusters of like ones: KMeans over standardised features."""

from dataclasses import dataclass

import numpy as np

from worker.marts.models.likelihood import Array

FEATURES = ("recency", "frequency", "monetary", "average_order_value", "items", "categories")
_RECENCY, _FREQUENCY, _MONETARY = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Clusters:
    """Numbered from 1 by mean monetary. centres: means of the members by feature, (k, f); members: (k,); mean, deviation: (f,), what
    features are standardised by; labels: (k,).
    """

    centres: Array
    members: Array
    mean: Array
    deviation: Array
    labels: tuple[str, ...]


def fit_clusters(features: Array, count: int, starts: int, seed: int) -> Clusters | None:
    """Clusters of customers (n, f), with FEATURES for columns; None where fewer than `count` customers differ."""
    from sklearn.cluster import KMeans  # a second to import, and most refreshes fit nothing

    if len(np.unique(features, axis=0)) < count:
        return None
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation[features.min(axis=0) == features.max(axis=0)] = 1.0  # where rounding may leave a little more than 0
    found = KMeans(n_clusters=count, n_init=starts, random_state=seed).fit_predict((features - mean) / deviation)
    members = np.bincount(found, minlength=count).astype(np.float64)
    centres = np.stack([np.bincount(found, weights=column, minlength=count) for column in features.T], axis=1) / members[:, None]
    order = np.argsort(centres[:, _MONETARY], kind="stable")
    return Clusters(centres[order], members[order], mean, deviation, _labels(centres[order], features))


def nearest(features: Array, clusters: Clusters) -> Array:
    """The cluster, from 1, whose centre is nearest to each customer; (n,), the lower number where two are as near."""
    standard, centres = (features - clusters.mean) / clusters.deviation, (clusters.centres - clusters.mean) / clusters.deviation
    apart = (standard - centre for centre in centres)
    distances = np.stack([np.einsum("ij,ij->i", each, each) for each in apart], axis=1)
    return np.asarray(distances.argmin(axis=1) + 1, dtype=np.float64)


def _labels(centres: Array, features: Array) -> tuple[str, ...]:
    """By a centre's features against the quartiles of the customers."""
    first, third = np.quantile(features, [0.25, 0.75], axis=0)

    def label(centre: Array) -> str:
        if centre[_FREQUENCY] > third[_FREQUENCY]:
            return "VIP" if centre[_MONETARY] > third[_MONETARY] else "Frequent"
        if centre[_RECENCY] < first[_RECENCY]:
            return "Active"
        return "Dormant" if centre[_RECENCY] > third[_RECENCY] else "Regular"

    return tuple(label(centre) for centre in centres)
