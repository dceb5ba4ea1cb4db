"""Functions of the marts of segments: clusters that are fitted once, and the cluster of each customer."""

import numpy as np
import pyarrow as pa

from worker.marts.functions import Refresh
from worker.marts.models.clusters import FEATURES, Clusters, fit_clusters, nearest
from worker.marts.models.likelihood import Array
from worker.marts.value import refit_reason

_NONE = "(none)"
_NUMBERS = pa.list_(pa.float64())
_FIT = pa.schema(
    [
        ("fit_id", pa.int64()),
        ("cluster", pa.int32()),
        ("as_of", pa.date32()),
        ("reason", pa.string()),
        ("orders", pa.int64()),
        ("label", pa.string()),
        ("members", pa.int64()),
        ("centre", _NUMBERS),
        ("mean", _NUMBERS),
        ("deviation", _NUMBERS),
    ]
)


def segment_cluster_fit(rows: pa.Table, refresh: Refresh) -> pa.Table:
    """New clusters where there are none, they are asked for, or enough has changed since the last; else no row."""
    (now,) = rows.to_pylist()
    reason = refit_reason(now["orders"], now["last_orders"], refresh)
    if not reason:
        return _FIT.empty_table()
    given = refresh.parameters
    clusters = fit_clusters(_features(refresh.query("sample")), given["cluster_count"], given["cluster_starts"], given["cluster_seed"])
    if clusters is None:
        return _FIT.empty_table()
    common = {"fit_id": now["next_fit_id"], "as_of": refresh.as_of, "reason": reason, "orders": now["orders"]}
    common |= {"mean": clusters.mean.tolist(), "deviation": clusters.deviation.tolist()}
    parts = zip(clusters.labels, clusters.members.tolist(), clusters.centres.tolist(), strict=True)
    found = [
        common | {"cluster": number, "label": label, "members": int(members), "centre": centre}
        for number, (label, members, centre) in enumerate(parts, 1)
    ]
    return pa.Table.from_pylist(found, schema=_FIT)


def customer_segment(rows: pa.Table, refresh: Refresh) -> pa.Table:
    """The segments by rules, and the cluster by the last fit; no cluster for customers without an order, or without a fit."""
    fit = refresh.query("fit")
    has_cluster = rows["frequency"].is_valid().to_numpy() & (len(fit) > 0)
    numbers, labels = np.zeros(len(rows), dtype=np.int32), [_NONE]
    if has_cluster.any():
        clusters = _clusters(fit)
        numbers[has_cluster] = nearest(_features(rows)[has_cluster], clusters)
        labels += clusters.labels
    table = rows.drop_columns(list(FEATURES))
    return table.append_column("cluster", pa.array(numbers, mask=~has_cluster)).append_column(
        "cluster_label", pa.array(labels, pa.string()).take(pa.array(numbers))
    )


def _features(rows: pa.Table) -> Array:
    """Shape (n, f); not a number where a customer has no order."""
    return np.stack([rows[name].to_numpy() for name in FEATURES], axis=1)


def _clusters(fit: pa.Table) -> Clusters:
    rows = fit.to_pylist()
    centres, members = np.array([row["centre"] for row in rows]), np.array([row["members"] for row in rows], dtype=np.float64)
    return Clusters(centres, members, np.array(rows[0]["mean"]), np.array(rows[0]["deviation"]), tuple(row["label"] for row in rows))
