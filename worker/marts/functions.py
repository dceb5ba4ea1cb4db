"""Marts that SQL alone can't compute: from the rows of the mart's SELECT to the rows of the mart, by name.

A function imports what it needs when it runs: the worker starts without scipy and scikit-learn.
"""

from collections.abc import Callable, Mapping
from datetime import date
from importlib import import_module
from typing import Any, Protocol, TypeAlias

import pyarrow as pa


class Refresh(Protocol):
    """What a function may know of the refresh that it is part of. `parameters`: what the mart's header names, $as_of and the like."""

    @property
    def as_of(self) -> date: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def refit(self) -> bool: ...

    def query(self, name: str, **parameters: Any) -> pa.Table:
        """The rows of sql/marts/<mart>/<name>.sql; `parameters`, beside the mart's own."""
        ...


Function: TypeAlias = Callable[[pa.Table, Refresh], pa.Table]


def _from(module: str, name: str) -> Function:
    """The function of that name in a module of worker.marts, which is imported when it is called."""

    def function(rows: pa.Table, refresh: Refresh) -> pa.Table:
        return getattr(import_module(f"worker.marts.{module}"), name)(rows, refresh)

    return function


FUNCTIONS: dict[str, Function] = {
    "attribution_markov": _from("attribution", "attribution_markov"),
    "customer_segment": _from("segments", "customer_segment"),
    "customer_value": _from("value", "customer_value"),
    "segment_cluster_fit": _from("segments", "segment_cluster_fit"),
    "value_model_fit": _from("value", "value_model_fit"),
}
