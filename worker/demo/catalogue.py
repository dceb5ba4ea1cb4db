"""What the demo's shop is made of: its goods, its channels and campaigns, the places it sends to. Data only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Channel:
    """A way into the shop, and what kind of customer comes by it.

    `share`: of first visits. `conversion`: of its visitors, who ever order. `days_between`: mean days between the orders of a loyal
    customer. `dropout`: mean chance that an order is the last one. `return_share`: of later visits. `click`: the event at the door.
    """

    name: str
    share: float
    conversion: float
    days_between: float
    dropout: float
    return_share: float
    click: str | None = None


CHANNELS = (
    Channel("organic_search", 0.24, 0.16, 14, 0.18, 0.16),
    Channel("direct", 0.13, 0.21, 11, 0.12, 0.34),
    Channel("paid_search", 0.18, 0.15, 18, 0.25, 0.10, click="ad_click"),
    Channel("paid_social", 0.22, 0.09, 26, 0.38, 0.07, click="ad_click"),
    Channel("affiliate", 0.07, 0.12, 24, 0.42, 0.02, click="ad_click"),
    Channel("referral", 0.06, 0.24, 10, 0.10, 0.02),
    Channel("display", 0.05, 0.05, 28, 0.40, 0.08, click="ad_click"),
    Channel("email", 0.05, 0.19, 12, 0.15, 0.21, click="email_click"),
)


@dataclass(frozen=True, slots=True)
class Campaign:
    """Paid or mailed attention from `first_day` to `last_day` (days of the shop, from 0); `lift` multiplies first visits by its channel."""

    name: str
    channel: str
    first_day: int = 0
    last_day: int = 10_000
    click_cents: int = 0
    lift: float = 1.0


CAMPAIGNS = (
    Campaign("brand-search", "paid_search", click_cents=42),
    Campaign("generic-coffee", "paid_search", click_cents=96),
    Campaign("spring-launch", "paid_social", 0, 20, click_cents=61, lift=1.5),
    Campaign("lookalike-video", "paid_social", 21, click_cents=54),
    Campaign("easter-gifts", "paid_social", 24, 34, click_cents=73, lift=1.9),
    Campaign("retargeting", "display", 4, click_cents=28),
    Campaign("coffee-blogs", "affiliate", click_cents=35),
    Campaign("newsletter", "email"),
    Campaign("cart-reminder", "email", 3),
)

EASTER_SALE = range(28, 35)  # days of the shop; what is sold then is 15 % off
GIFTS = "Gifts"  # the category that Easter lifts


@dataclass(frozen=True, slots=True)
class Shelf:
    """A subcategory: its products' typical price and cost, and how well it sells."""

    category: str
    subcategory: str
    noun: str
    price_cents: int
    cost_share: float
    popularity: float


SHELVES = (
    Shelf("Coffee", "Beans", "Beans 500 g", 1_490, 0.52, 5.0),
    Shelf("Coffee", "Espresso", "Espresso 1 kg", 2_690, 0.55, 3.5),
    Shelf("Coffee", "Decaf", "Decaf 250 g", 990, 0.50, 1.2),
    Shelf("Tea", "Green", "Green Tea", 890, 0.42, 1.4),
    Shelf("Tea", "Herbal", "Infusion", 750, 0.40, 1.1),
    Shelf("Brewing", "Grinders", "Grinder", 12_900, 0.61, 0.8),
    Shelf("Brewing", "Machines", "Espresso Machine", 48_900, 0.68, 0.35),
    Shelf("Brewing", "Kettles", "Kettle", 7_900, 0.58, 0.8),
    Shelf("Brewing", "Filters", "Paper Filters", 590, 0.35, 2.6),
    Shelf("Kitchen", "Cups", "Cup", 1_350, 0.45, 1.8),
    Shelf("Kitchen", "Storage", "Storage Jar", 2_250, 0.48, 0.9),
    Shelf(GIFTS, "Sets", "Gift Set", 4_490, 0.50, 1.0),
)

MAKERS = ("Harbour", "Alta", "Kestrel", "Nordvik", "Solano", "Juniper", "Tall Pine", "Meridian")
_WITHOUT_COST = ("Kestrel", "Sets")  # a maker and a subcategory: nobody knows what that product costs


@dataclass(frozen=True, slots=True)
class Product:
    product_id: str
    name: str
    shelf: Shelf
    price_cents: int
    cost_cents: int | None


def _products() -> tuple[Product, ...]:
    """Each maker's product of each shelf, from the cheapest maker to the dearest."""
    products: list[Product] = []
    for shelf in SHELVES:
        for rank, maker in enumerate(MAKERS):
            price = round(shelf.price_cents * (0.8 + 0.06 * rank), -1)
            cost = None if (maker, shelf.subcategory) == _WITHOUT_COST else int(price * shelf.cost_share)
            products.append(Product(f"p{len(products):03d}", f"{maker} {shelf.noun}", shelf, int(price), cost))
    return tuple(products)


PRODUCTS = _products()


@dataclass(frozen=True, slots=True)
class Place:
    region: str
    country: str
    state: str
    city: str
    share: float
    currency: str = "USD"


PLACES = (
    Place("Northeast", "US", "NY", "New York", 14),
    Place("Northeast", "US", "MA", "Boston", 7),
    Place("Northeast", "US", "PA", "Philadelphia", 5),
    Place("Midwest", "US", "IL", "Chicago", 9),
    Place("Midwest", "US", "MN", "Minneapolis", 5),
    Place("Midwest", "US", "OH", "Columbus", 4),
    Place("South", "US", "TX", "Austin", 8),
    Place("South", "US", "GA", "Atlanta", 6),
    Place("South", "US", "FL", "Miami", 5),
    Place("West", "US", "CA", "San Francisco", 10),
    Place("West", "US", "CA", "Los Angeles", 10),
    Place("West", "US", "WA", "Seattle", 8),
    Place("West", "US", "OR", "Portland", 5),
    Place("Canada", "CA", "ON", "Toronto", 3, currency="CAD"),
    Place("Canada", "CA", "BC", "Vancouver", 1, currency="CAD"),
)

FIRST_NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Grace", "Hugo", "Iris", "Jon", "Kim", "Lea", "Max", "Nora", "Owen", "Pia")
LAST_NAMES = (
    "Abel",
    "Brook",
    "Castle",
    "Dale",
    "Ellis",
    "Frost",
    "Gray",
    "Hill",
    "Ives",
    "Jones",
    "King",
    "Lane",
    "Moss",
    "North",
    "Oakes",
)
