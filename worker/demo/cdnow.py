"""Real purchases: the CDNOW sample (Fader and Hardie), one in ten of the customers who first bought there in early 1997.

It comes in the wheel of the PyPI package lifetimes and is not stored here. A line of it: master id, sample id, date, CDs, dollars.
"""

import hashlib
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

from worker.demo.avro import framed
from worker.demo.broker import Messages, Outgoing
from worker.demo.delivery import ORDER, writer_schemas
from worker.demo.orders import Row
from worker.demo.visits import SECOND
from worker.errors import Unavailable
from worker.events import Stream

CACHE = Path("build/cdnow")  # where the wheel is kept; git ignores it
_REQUIREMENT = "lifetimes==0.11.3"
WHEEL = "Lifetimes-0.11.3-py3-none-any.whl"
_SHA256 = "261e3dc89977c2b60767ca6728aaa29d429de0c814635070a749c36555895da8"
_MEMBER = "lifetimes/datasets/CDNOW_sample.txt"


@dataclass(frozen=True, slots=True)
class Totals:
    """What the purchases add up to. `customer_days`: pairs of a customer and a day with a purchase."""

    orders: int
    customers: int
    units: int
    net_cents: int
    customer_days: int
    days: int
    first_day: date
    last_day: date


PUBLISHED = Totals(6_919, 2_357, 16_479, 24_409_194, 6_696, 545, date(1997, 1, 1), date(1998, 6, 30))


@dataclass(frozen=True, slots=True)
class Model:
    """What BG/NBD (time in weeks) and Gamma-Gamma (dollars) make of the first 39 weeks, and of the 39 weeks after."""

    customers: int
    repeaters: int
    repeat_purchases: int
    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    p: float
    q: float
    v: float
    foretold: float
    made: int


# Fader, Hardie, Lee (2005), table 2 and figures 6 to 8; Fader, Hardie (2013), section 4. As many digits as stand there.
PUBLISHED_MODEL = Model(2_357, 946, 2_457, 0.243, 4.414, 0.793, 2.426, -9_582.4, 6.25, 3.74, 15.44, 1_653, 1_882)
CALIBRATED, HOLDOUT_DAYS = date(1997, 9, 30), 273


@dataclass(frozen=True, slots=True)
class Purchase:
    customer_id: str
    day: date
    units: int
    cents: int


def fetch(directory: Path) -> Path:
    """The wheel, downloaded by pip into `directory` unless it is there. Raises Unavailable where it can't be had or is not the one."""
    wheel = directory / WHEEL
    if not wheel.is_file():
        directory.mkdir(parents=True, exist_ok=True)
        requirements = directory / "requirements.txt"
        requirements.write_text(f"{_REQUIREMENT} --hash=sha256:{_SHA256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        done = subprocess.run([*pip, "--dest", directory, "--requirement", requirements], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(
                f"{_REQUIREMENT} could not be downloaded: {(done.stderr.strip() or 'pip said nothing').splitlines()[-1]}",
                f"Where there is no network, put {WHEEL} (from PyPI) into {directory}.",
            )
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != _SHA256:
        raise Unavailable(f"{wheel} is not the file that was expected: its SHA-256 is another", f"Remove it and try again: rm {wheel}")
    return wheel


def purchases(wheel: Path) -> list[Purchase]:
    """The sample's purchases, by day. Several of one customer on one day are several purchases."""
    with zipfile.ZipFile(wheel) as archive:
        lines = archive.read(_MEMBER).decode("ascii").splitlines()
    found = [
        Purchase(customer_id, datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).date(), int(units), int(Decimal(dollars) * 100))
        for customer_id, _, day, units, dollars in filter(None, map(str.split, lines))
    ]
    return sorted(found, key=lambda purchase: purchase.day)


def messages(found: Iterable[Purchase]) -> Messages:
    """Each purchase as a completed order at noon UTC, as schema id ORDER writes it."""
    encode = framed(ORDER, writer_schemas()[ORDER])
    numbers: Counter[str] = Counter()
    sent = Messages()
    for purchase in found:
        numbers[purchase.customer_id] += 1
        order_id = f"{purchase.customer_id}-{numbers[purchase.customer_id]}"
        at = int(datetime.combine(purchase.day, time(12), UTC).timestamp()) * SECOND
        nowhere = (None, None, None, None, None)  # no segment, region, country, state, city
        row = (order_id, purchase.customer_id, at, at, "COMPLETED", "USD", *nowhere, 0, 0, 0, 0, _items(purchase))
        sent.append(Outgoing(Stream.ORDERS, order_id.encode(), encode(row), at))
    return sent


def _items(purchase: Purchase) -> list[Row]:
    """One line for what all units cost, and one for those that cost a cent more: together the dollars paid, exactly."""
    price, dearer = divmod(purchase.cents, purchase.units)
    lines = ((purchase.units - dearer, price), (dearer, price + 1))
    return [("cd", "Music", "CD", quantity, cents, 0, None) for quantity, cents in lines if quantity]
