"""Functions of the marts of customer value: from the rows of their SELECTs to fits, and to what fits say of customers."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from worker.marts.functions import Refresh
from worker.marts.models.bg_nbd import BgNbd, BgNbdFit, Histories, Model, fit_bg_nbd
from worker.marts.models.gamma_gamma import GammaGamma, GammaGammaFit, fit_gamma_gamma
from worker.marts.models.lifetime_value import Horizon, expected_purchases, lifetime_value
from worker.marts.models.likelihood import Array, Status

_MONTH = 365 / 12  # days
_MODEL_COLUMNS = ("p_alive", "expected_orders", "expected_order_value", "model_value", "model_value_low", "model_value_high")

_FIT = pa.schema(
    [
        ("fit_id", pa.int64()),
        ("as_of", pa.date32()),
        ("reason", pa.string()),
        ("model", pa.string()),
        ("customers", pa.int64()),
        ("order_days", pa.int64()),
        ("repeaters", pa.int64()),
        ("status", pa.string()),
        ("r", pa.float64()),
        ("alpha", pa.float64()),
        ("a", pa.float64()),
        ("b", pa.float64()),
        ("log_likelihood", pa.float64()),
        ("covariance", pa.list_(pa.float64())),
        ("valued_repeaters", pa.int64()),
        ("value_status", pa.string()),
        ("p", pa.float64()),
        ("q", pa.float64()),
        ("v", pa.float64()),
        ("value_log_likelihood", pa.float64()),
        ("value_covariance", pa.list_(pa.float64())),
        ("frequency_value_correlation", pa.float64()),
        ("holdout_days", pa.int32()),
        ("holdout_status", pa.string()),
        ("holdout_customers", pa.int64()),
        ("holdout_expected", pa.float64()),
        ("holdout_actual", pa.int64()),
        ("holdout_error", pa.float64()),
    ]
)


def value_model_fit(rows: pa.Table, refresh: Refresh) -> pa.Table:
    """A new fit where there is none, one is asked for, or enough has changed since the last; else no row."""
    (now,) = rows.to_pylist()
    model = Model(refresh.parameters["value_model"])
    reason = refit_reason(now["order_days"], now["last_order_days"], refresh)
    if not reason and now["last_model"] != model:
        reason = "changed"
    if not reason:
        return _FIT.empty_table()
    fit = {"fit_id": now["next_fit_id"], "as_of": refresh.as_of, "reason": reason, "model": str(model)}
    fit |= {name: now[name] for name in ("customers", "order_days", "repeaters")}
    fit |= _purchases_fitted(refresh, model) | _values_fitted(refresh) | _held_out(refresh, model)
    return pa.Table.from_pylist([fit], schema=_FIT)


def refit_reason(amount: int, last_amount: int | None, refresh: Refresh) -> str:
    """Why what was fitted when there was last_amount of something is to be fitted anew; empty where it is not."""
    if last_amount is None:
        return "first"
    if refresh.refit:
        return "asked"
    return "changed" if abs(amount - last_amount) > refresh.parameters["refit_share"] * last_amount else ""


def customer_value(rows: pa.Table, refresh: Refresh) -> pa.Table:
    """The columns of the rules, and those of the model from the last fit."""
    (fit,) = refresh.query("fit").to_pylist()
    x, t_x, age, mean_value = (rows[name].to_numpy() for name in ("x", "t_x", "age", "mean_value"))
    predicted = _predicted(_Fitted.of(fit), _horizon(refresh), x, t_x, age, mean_value)
    table = rows.drop_columns(["x", "t_x", "age", "mean_value"])
    for name, column in predicted.items():
        table = table.append_column(name, column)
    return table.append_column("fit_id", pa.repeat(pa.scalar(fit["fit_id"], pa.int64()), len(rows)))


def _purchases_fitted(refresh: Refresh, model: Model) -> dict[str, Any]:
    fit = fit_bg_nbd(_histories(refresh.query("histories")), model, refresh.parameters["min_repeaters"])
    return {"status": str(fit.status)} | _columns(fit, ("r", "alpha", "a", "b"), "")


def _values_fitted(refresh: Refresh) -> dict[str, Any]:
    x, mean_value = (column.to_numpy() for column in refresh.query("mean_values").columns)
    fit = fit_gamma_gamma(x, mean_value, refresh.parameters["min_repeaters"])
    found = {"valued_repeaters": len(x), "value_status": str(fit.status), "frequency_value_correlation": _correlation(x, mean_value)}
    return found | _columns(fit, ("p", "q", "v"), "value_")


def _held_out(refresh: Refresh, model: Model) -> dict[str, Any]:
    """How a fit on the days before the last holdout_days foretells those."""
    rows = refresh.query("holdout")
    days, histories = refresh.parameters["holdout_days"], _histories(rows)
    fit = fit_bg_nbd(histories, model, refresh.parameters["min_repeaters"])
    found: dict[str, Any] = {"holdout_days": days, "holdout_status": str(fit.status), "holdout_customers": int(histories.customers)}
    if fit.fitted is None:
        return found
    expected = float(histories.weight @ fit.fitted.expected_purchases(days, histories.x, histories.t_x, histories.age))
    actual = sum(rows["later"].to_pylist())
    error = expected / actual - 1 if actual else None
    return found | {"holdout_expected": expected, "holdout_actual": actual, "holdout_error": error}


def _histories(rows: pa.Table) -> Histories:
    return Histories(*(rows[name].to_numpy() for name in ("x", "t_x", "age", "weight")))


def _columns(fit: BgNbdFit | GammaGammaFit, parameters: tuple[str, ...], prefix: str) -> dict[str, Any]:
    """What is kept of a fit that converged."""
    if fit.fitted is None or fit.optimum is None:
        return {}
    kept: dict[str, Any] = {name: getattr(fit.fitted, name) for name in parameters}
    return kept | {f"{prefix}log_likelihood": fit.optimum.log_likelihood, f"{prefix}covariance": fit.optimum.covariance.ravel().tolist()}


def _correlation(x: Array, y: Array) -> float | None:
    """None where there is none."""
    if len(x) < 2 or x.min() == x.max() or y.min() == y.max():
        return None
    found = float(np.corrcoef(x, y)[0, 1])
    return found if math.isfinite(found) else None


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A row of value_model_fit. The models are there where they converged."""

    purchases: BgNbd | None
    covariance: Array
    values: GammaGamma | None
    value_covariance: Array
    status: str
    value_status: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> "_Fitted":
        purchases, values = row["status"] == Status.CONVERGED, row["value_status"] == Status.CONVERGED
        return cls(
            BgNbd(Model(row["model"]), row["r"], row["alpha"], row["a"], row["b"]) if purchases else None,
            np.array(row["covariance"] or []).reshape(-1, 4),
            GammaGamma(row["p"], row["q"], row["v"]) if values else None,
            np.array(row["value_covariance"] or []).reshape(-1, 3),
            row["status"],
            row["value_status"],
        )


def _horizon(refresh: Refresh) -> Horizon:
    return Horizon(refresh.parameters["value_months"], _MONTH, refresh.parameters["discount_rate"] / 12)


def _predicted(fitted: _Fitted, horizon: Horizon, x: Array, t_x: Array, age: Array, mean_value: Array) -> dict[str, pa.Array]:
    """The columns of the model, null where the status says why."""
    has_purchases, has_values = np.full(len(x), fitted.purchases is not None), np.full(len(x), fitted.values is not None)
    is_known = has_purchases & (age > 0)
    is_valued = is_known & has_values & ((x == 0) | (mean_value > 0))
    columns: dict[str, pa.Array] = dict.fromkeys(_MODEL_COLUMNS, pa.nulls(len(x), pa.float64()))
    if fitted.purchases is not None:
        purchases = expected_purchases(fitted.purchases, horizon, x, t_x, age)
        columns["p_alive"] = pa.array(purchases.p_alive, mask=~is_known)
        columns["expected_orders"] = pa.array(purchases.expected, mask=~is_known)
        if fitted.values is not None:
            positive = np.where(mean_value > 0, mean_value, 0.0)
            value = lifetime_value(purchases, fitted.covariance, fitted.values, fitted.value_covariance, x, positive)
            found = (fitted.values.expected_value(x, positive), value.value, value.low, value.high)
            columns |= {name: pa.array(values, mask=~is_valued) for name, values in zip(_MODEL_COLUMNS[2:], found, strict=True)}
    names = pa.array([fitted.status, "first_day", f"value_{fitted.value_status}", "value_not_positive", "ok"], pa.string())
    status = np.select([~has_purchases, ~is_known, ~has_values, ~is_valued], range(4), 4)
    return columns | {"model_status": names.take(pa.array(status))}
