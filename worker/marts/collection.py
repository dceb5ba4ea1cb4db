"""All marts that there are: those that come with tidemark, and the user's own."""

from collections.abc import Mapping

from worker.config import Marts
from worker.config.settings import did_you_mean
from worker.errors import ConfigError
from worker.marts.definition import Mart, built_in


def all_marts(settings: Marts) -> Mapping[str, Mart]:
    """By name. Raises ConfigError where one of them is not right."""
    return built_in()


def mart_named(name: str, marts: Mapping[str, Mart]) -> Mart:
    """Raises ConfigError where there is none."""
    if name not in marts:
        raise ConfigError(f"there is no mart {name}{did_you_mean(name, marts)}", "tidemark marts list prints their names.")
    return marts[name]
