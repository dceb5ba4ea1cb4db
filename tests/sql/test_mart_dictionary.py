"""docs/marts.md is what the definitions say, and its questions can be asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.marts import Marts
from tests.support.worker import Worker, customer, line, order, product, touch
from worker.config import Settings
from worker.marts.definition import Question, built_in
from worker.marts.dictionary import dictionary

PUBLIC = [mart for mart in built_in().values() if not mart.front.internal]
QUESTIONS = [pytest.param(question, id=question.ask) for mart in PUBLIC for question in mart.front.questions]

# Nothing of the kind has happened in the shop below.
UNANSWERED = {
    "Which customers spent the most and have not ordered for a while?",
    "Whose carts were abandoned in the last 30 days?",
    "Whom will we miss most if they do not come back?",
    "What runs out within a week?",
    "What is looked at, but not bought?",
    "Where did last month's champions go?",
    "Which days were unlike the 30 days before them?",
}


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marts]:
    """All marts, of a customer who looks and then buys, and comes back a month later."""
    worker = Worker(tmp_path_factory.mktemp("marts"))
    worker.feed(
        customer("c1", "2026-03-01", name="Ann"),
        product("p1", "2026-03-01", name="mug", stock_level=3),
        touch("c1", "2026-03-02 08:00", event_type="ad_click", channel="paid", campaign="spring", cost_cents=2_000, product_id="p1"),
        touch("c1", "2026-03-02 08:01", channel="paid", campaign="spring"),
        order("o1", "2026-03-02 09:00", customer_id="c1", items=[line(product_id="p1")]),
        order("o2", "2026-04-05 09:00", customer_id="c1", items=[line(product_id="p1")]),
        close="2026-04-30",
    )
    marts = Marts(worker)
    marts.refresh()
    yield marts
    worker.close()


def test_the_page_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "marts.md"
    assert page.read_text() == dictionary(built_in(), Settings()), "run: tidemark marts docs > docs/marts.md"


@pytest.mark.parametrize("name", [mart.name for mart in PUBLIC])
def test_every_mart_for_analysts_has_a_question_about_itself(name: str) -> None:
    questions = built_in()[name].front.questions
    assert questions
    assert all(name in question.sql for question in questions)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_has_an_answer(refreshed: Marts, question: Question) -> None:
    assert bool(refreshed.worker.query(question.sql)) == (question.ask not in UNANSWERED)
