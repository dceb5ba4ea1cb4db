"""Every mart of the contract recomputed in plain Python, written from the contract alone, apart from the SQL of the marts.

Rows are dicts, tables are lists of rows, sums are Python integers, weights are fractions where they are rational. `events.Facts` is what
a mart may know; each other module is a family of marts. Where the contract leaves a choice, the docstring says which reading is taken.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from tests.support.mart_reference import attribution, cohorts, overview, products, sales, segments, traffic, value
from tests.support.mart_reference.compare import mart_differences
from tests.support.mart_reference.events import Facts, Thresholds
from tests.support.mart_reference.fits import WRITTEN_ONCE
from tests.support.reference import Row

__all__ = ["EXPECTED", "SEEN_THROUGH", "WRITTEN_ONCE", "Expected", "Facts", "Thresholds", "mart_differences"]

Expected: TypeAlias = Callable[[Facts], list[Row]]

EXPECTED: Mapping[str, Expected] = {
    "active_day": cohorts.active_day,
    "cohort_retention": cohorts.cohort_retention,
    "cohort_summary": lambda facts: cohorts.cohort_summary(cohorts.cohort_retention(facts)),
    "attribution_event": attribution.attribution_event,
    "attribution_credit": attribution.attribution_credit,
    "attribution_null": attribution.attribution_null,
    "attribution_markov": attribution.attribution_markov,
    "attribution_touch": attribution.attribution_touch,
    "attribution_channel": attribution.attribution_channel,
    "attribution_campaign": attribution.attribution_campaign,
    "attribution_path": attribution.attribution_path,
    "customer_value": value.customer_value,
    "customer_segment": segments.customer_segment,
    "segment_snapshot": segments.segment_snapshot,
    "segment_summary": segments.segment_summary,
    "segment_migration": segments.segment_migration,
    "customer_overview": overview.customer_overview,
    "customer_features": overview.customer_features,
    "product_day": products.product_day,
    "product_performance": products.product_performance,
    "inventory_status": products.inventory_status,
    "finance_month": sales.finance_month,
    "sales_trend": sales.sales_trend,
    "category_share": sales.category_share,
    "region_share": sales.region_share,
    "top_customers": sales.top_customers,
    "top_products": products.top_products,
    "hourly_sessions": traffic.hourly_sessions,
    "traffic_anomaly": traffic.traffic_anomaly,
    "traffic_season": traffic.traffic_season,
    "funnel": traffic.funnel,
    "dim_date": traffic.dim_date,
}

# Internal marts without an expectation of their own, each with those that show all that it holds.
SEEN_THROUGH: Mapping[str, tuple[str, ...]] = {
    "customer_facts": ("customer_overview", "customer_segment", "customer_value", "value_model_fit"),
    "open_cart": ("customer_overview",),
    "cohort_activity": ("cohort_retention",),
    "user_cohort": ("cohort_retention",),
    "product_label": ("product_performance", "top_products"),
}
