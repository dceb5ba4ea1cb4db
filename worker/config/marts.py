"""What the marts are told: when they are refreshed, and every threshold of theirs, one section a family.

Names of settings are unique over all families: under its name each is bound to the SELECTs of sql/marts/ ($touch_window_hours).
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from worker.config.section import Section
from worker.config.units import Duration, PositiveDuration


def _listed(value: Any) -> Any:
    """A variable or a flag writes a list with commas."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Products(Section):
    """inventory_status, top_products and top_customers."""

    stock_rate_days: int = Field(30, ge=1, description="how many days back the rate of sales reaches that says how long stock lasts")
    top_days: int = Field(90, ge=1, description="how many days back top_customers and top_products look")
    top_count: int = Field(100, ge=1, description="how many rows they have")


class Sales(Section):
    """sales_trend, category_share, region_share, dim_date."""

    share_days: int = Field(30, ge=1, description="how many days back shares look")
    average_days: int = Field(7, ge=1, description="days of the moving averages, of traffic_anomaly too")
    seasons: str = Field("", description="what dim_date calls the months: twelve names by commas, January's first; empty: nothing")

    @field_validator("seasons")
    @classmethod
    def _one_a_month(cls, names: str) -> str:
        if names and names.count(",") != 11:
            raise ValueError(f"must have twelve names by commas, one for each month, but has {names.count(',') + 1}")
        return names


class Traffic(Section):
    """traffic_anomaly, traffic_season."""

    baseline_days: int = Field(30, ge=2, description="how many days before it a day is compared with")
    anomaly_deviations: float = Field(3.0, gt=0, description="how many deviations from their mean make it an anomaly")
    mad_factor: float = Field(1.4826, gt=0, description="what makes a median absolute deviation a standard deviation, if values are normal")
    traffic_season_days: int = Field(90, ge=1, description="how many days back traffic_season looks")


_Weight = Annotated[int, Field(ge=1)]
ThreeWeights = Annotated[tuple[_Weight, _Weight, _Weight], BeforeValidator(_listed)]
FourWeights = Annotated[tuple[_Weight, _Weight, _Weight, _Weight], BeforeValidator(_listed)]


class Attribution(Section):
    """attribution_touch, attribution_channel, attribution_campaign, attribution_path. Weights are whole numbers in proportion."""

    touch_types: Names = Field(("ad_click", "email_click"), description="event types that are touches, beside a session's first page_view")
    direct_channels: Names = Field(("direct",), description="channels that last_non_direct passes over")
    touch_window_hours: int = Field(720, ge=1, description="how long before an order a touch has a part in it")
    half_life_days: int = Field(7, ge=1, description="time_decay: how much earlier a touch counts half")
    u_shaped: ThreeWeights = Field((40, 20, 40), description="weights of the first touch, of all between, of the last")
    j_shaped: ThreeWeights = Field((20, 20, 60), description="the same")
    w_shaped: FourWeights = Field((30, 30, 30, 10), description="first touch, lead, last, all others")
    two_touch: Literal["proportional", "split_middle"] = Field(
        "proportional", description="two touches share by their own weights, or take half each of what is for those between (split_middle)"
    )


class Cohorts(Section):
    """cohort_retention, cohort_summary."""

    touch_cohorts: Names = Field(
        (),
        description="kinds of cohort (first_order, sign_up, first_touch, user) that identified touchpoints keep active, not orders alone",
    )


class Overview(Section):
    """customer_facts, customer_overview."""

    comeback_gap_days: int = Field(180, ge=1, description="an order after more days than this without one brings its customer back")
    new_customer_days: int = Field(30, ge=0, description="a customer is new for so many days")
    abandoned_after_hours: int = Field(24, ge=0, description="a cart without an order so many hours after its session's end is abandoned")


_Limit = Annotated[int, Field(ge=0)]
_Share = Annotated[float, Field(gt=0, lt=1)]
TwoLimits = Annotated[tuple[_Limit, _Limit], BeforeValidator(_listed)]
ThreeLimits = Annotated[tuple[_Limit, _Limit, _Limit], BeforeValidator(_listed)]
FourLimits = Annotated[tuple[_Limit, _Limit, _Limit, _Limit], BeforeValidator(_listed)]
TwoShares = Annotated[tuple[_Share, _Share], BeforeValidator(_listed)]
FiveShares = Annotated[tuple[_Share, _Share, _Share, _Share, _Share], BeforeValidator(_listed)]
FiveNumbers = Annotated[tuple[float, float, float, float, float], BeforeValidator(_listed)]


class Value(Section):
    """value_model_fit, customer_value."""

    recency_limits: FourLimits = Field((30, 90, 180, 365), description="days since the last order that end the classes of recency")
    recency_multipliers: FiveNumbers = Field((1.0, 0.8, 0.6, 0.4, 0.2), description="of the monthly value, by class")
    churn_probabilities: FiveShares = Field((0.1, 0.2, 0.4, 0.7, 0.9), description="by class")
    confidence_limits: TwoShares = Field((0.3, 0.6), description="churn probabilities that confidence high and medium stay below")
    discount_rate: float = Field(0.1, gt=0, description="what money loses in a year, by the month")
    value_months: int = Field(12, ge=1, description="how many months heuristic_value_12m and model_value reach")
    value_years: int = Field(3, ge=1, description="how many years value_3y reaches")
    value_model: Literal["bg_nbd", "mbg_nbd"] = Field("bg_nbd", description="mbg_nbd: a customer may drop out after its first order too")
    min_repeaters: int = Field(100, ge=1, description="nothing is fitted on fewer customers who came back")
    refit_share: float = Field(
        0.1, ge=0, description="models and clusters are fitted anew when the orders have changed by more than this share"
    )
    holdout_days: int = Field(90, ge=1, description="how many last days a fit on the days before is tried on")


class Segments(Section):
    """customer_segment, segment_snapshot, segment_summary."""

    rfm_days: int = Field(365, ge=1, description="how many days back recency, frequency and money are scored")
    recency_days: TwoLimits = Field((30, 90), description="days since the last order up to which a customer is Recent, Moderate")
    frequency_limits: ThreeLimits = Field((1, 3, 9), description="orders up to which a customer is One-time, Low, Medium")
    spend_limits: TwoLimits = Field((500, 1000), description="spend in major units that Low and Medium stay below")
    lifecycle_days: FourLimits = Field(
        (30, 30, 60, 180), description="days ago up to which a customer is New, Reactivated, Active, At Risk"
    )
    snapshot_late_days: int = Field(7, ge=0, description="a month's snapshot may be written so many days late, else the month has none")
    cluster_count: int = Field(5, ge=2, description="clusters of KMeans")
    cluster_sample: int = Field(100_000, ge=2, description="they are fitted on at most so many customers")
    cluster_starts: int = Field(10, ge=1, description="the best of so many fits from different starts is taken")
    cluster_seed: int = Field(42, ge=0, description="of those starts")


class Marts(Section):
    """Derived tables, refreshed beside the live stream. A family of marts has a section of its own, `[marts.attribution]` and so on."""

    enabled: bool = Field(True, description="whether `tidemark run` refreshes them; `tidemark marts refresh` does in any case")
    directory: Path | None = Field(None, description="a directory of your own marts, `*.sql` (docs/marts.md)")
    timeout: PositiveDuration = Field(timedelta(minutes=30), description="a refresh is ended after so long, and has failed")
    retries: int = Field(3, ge=0, description="how often a failed refresh is tried again before the next day closes")
    retry_pause: Duration = Field(timedelta(minutes=5), description="how long after a failure")
    max_offset_lag: int = Field(1_000_000, ge=0, description="marts wait while more messages than this are still to be read")
    cohorts: Cohorts = Cohorts()
    overview: Overview = Overview()
    attribution: Attribution = Attribution()
    products: Products = Products()
    sales: Sales = Sales()
    traffic: Traffic = Traffic()
    value: Value = Value()
    segments: Segments = Segments()

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Values for some of the families' settings, as SQL has them bound. Raises ValueError where one is none, or has no such value."""
        changed = {}
        for field, family in self:
            if isinstance(family, Section) and (own := {name: given[name] for name in given if name in type(family).model_fields}):
                changed[field] = type(family).model_validate({**family.model_dump(), **own})
        parameters = self.model_copy(update=changed).parameters()
        if unknown := given.keys() - parameters.keys():
            raise ValueError(f"there is no setting {', '.join(sorted(unknown))} of marts")
        return {name: parameters[name] for name in given}

    def parameters(self) -> dict[str, Any]:
        """The settings of all families by name, as SQL has them bound."""
        families = [family for _, family in self if isinstance(family, Section)]
        return {name: list(value) if isinstance(value, tuple) else value for family in families for name, value in family}
