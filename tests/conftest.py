"""What all tests share: the seed of everything random. It is printed, and `--seed` gives it back."""

import secrets
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Nothing here is judged by the clock: a busy machine must not fail a test. A failing example prints how to run it again.
settings.register_profile("tidemark", deadline=None, print_blob=True)
settings.load_profile("tidemark")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="seed of the random streams (default: a new one each run, printed)")


def pytest_configure(config: pytest.Config) -> None:
    # Chosen before xdist copies the options to its workers: all of them use one seed.
    if config.option.seed is None:
        config.option.seed = secrets.randbelow(2**32)


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {config.option.seed} (once more with it: --seed {config.option.seed}, or make test SEED={config.option.seed})"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run, also printed beside the test where it fails."""
    value: int = request.config.option.seed
    print(f"seed {value}")
    return value


@pytest.fixture
def signals_as_they_were() -> Iterator[None]:
    """A command that a signal has ended leaves signals ignored, for the rest of its process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
