"""The reference and the contract's SELECTs check each other: one is wrong where they differ."""

import pytest

from tests.support.messages import WRITER_SCHEMAS
from tests.support.oracle_sql import contract_tables
from tests.support.reference import Reference, differences
from tests.support.streams import random_options, random_stream


@pytest.mark.parametrize("number", range(30))
def test_the_reference_agrees_with_the_selects_of_the_contract_on_any_stream(seed: int, number: int) -> None:
    options = random_options(seed + number)
    reference = Reference(reporting_time_zone=options.time_zone, reporting_currency="USD", writer_schemas=WRITER_SCHEMAS)
    for message in random_stream(seed + number, options):
        reference.process(message.stream, message, now=message.arrived_at)
    expected = reference.tables()
    assert differences(expected, contract_tables(expected, "USD")) == []
