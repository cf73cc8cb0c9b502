"""Moving cards between the lanes of a board."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page, expect

if TYPE_CHECKING:
    from conftest import Service

pytestmark = pytest.mark.browser


def lane(page: Page, label: str) -> Locator:
    return page.get_by_role("region", name=label, exact=True)


def card_of(page: Page, title: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("link", name=title))


def drag(page: Page, card: Locator, target: Locator) -> None:
    """Press the card beside its title, and let go in the middle of the lane."""
    start, end = card.bounding_box(), target.bounding_box()
    assert start
    assert end
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] - 6)
    page.mouse.down()
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + 150, steps=5)
    page.mouse.up()


def test_a_card_is_dragged_to_another_lane(taskboard: Service, page: Page) -> None:
    card = taskboard.card(taskboard.board(), "Sweep")
    page.goto(f"{taskboard.app}#/view/board-view")
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        drag(page, card_of(page, "Sweep"), lane(page, "Doing"))

    expect(lane(page, "Doing").get_by_role("link", name="Sweep")).to_be_visible()
    expect(lane(page, "Todo").get_by_text("Nothing here")).to_be_visible()
    assert taskboard.status(card) == "doing"
    page.reload()
    expect(lane(page, "Doing").get_by_role("link", name="Sweep")).to_be_visible()


def test_a_move_that_the_states_forbid_is_not_made_and_is_explained(taskboard: Service, page: Page) -> None:
    card = taskboard.card(taskboard.board(), "Sweep")
    page.goto(f"{taskboard.app}#/board/cards")
    drag(page, card_of(page, "Sweep"), lane(page, "Done"))

    expect(page.get_by_text("Sweep cannot go from Todo to Done.")).to_be_visible()
    expect(lane(page, "Todo").get_by_role("link", name="Sweep")).to_be_visible()
    assert taskboard.status(card) == "todo"


def test_a_move_that_the_service_refuses_is_taken_back(taskboard: Service, page: Page) -> None:
    card = taskboard.card(taskboard.board(), "Sweep", "doing")
    page.goto(f"{taskboard.app}#/board/cards")
    expect(lane(page, "Doing").get_by_role("link", name="Sweep")).to_be_visible()
    taskboard.call("PATCH", f"/cards/{card['id']}", {"status": "done"})
    drag(page, card_of(page, "Sweep"), lane(page, "Todo"))

    expect(page.get_by_text("Sweep stays in Doing.")).to_be_visible()
    expect(lane(page, "Doing").get_by_role("link", name="Sweep")).to_be_visible()
    assert taskboard.status(card) == "done"


def test_a_card_moves_with_the_keyboard_alone_and_keeps_the_focus(taskboard: Service, page: Page) -> None:
    card = taskboard.card(taskboard.board(), "Sweep")
    page.goto(f"{taskboard.app}#/board/cards")
    expect(card_of(page, "Sweep")).to_be_visible()
    page.keyboard.press("Tab")
    while page.evaluate("() => document.activeElement.textContent.trim()") != "Sweep":
        page.keyboard.press("Tab")
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.keyboard.press("Shift+ArrowRight")

    expect(lane(page, "Doing").get_by_role("link", name="Sweep")).to_be_focused()
    expect(page.get_by_text("Sweep moved to Doing.")).to_be_attached()
    assert taskboard.status(card) == "doing"


def test_the_menu_of_a_card_offers_the_moves_it_may_make(taskboard: Service, page: Page) -> None:
    card = taskboard.card(taskboard.board(), "Sweep", "doing")
    page.goto(f"{taskboard.app}#/board/cards")
    page.get_by_role("button", name="Move Sweep").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem")).to_have_text(["Todo", "Done"])
    page.keyboard.press("ArrowDown")
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.keyboard.press("Enter")

    expect(lane(page, "Done").get_by_role("link", name="Sweep")).to_be_focused()
    assert taskboard.status(card) == "done"


def test_rows_can_be_the_lanes(taskboard: Service, page: Page) -> None:
    home, garden = taskboard.board("Home"), taskboard.board("Garden")
    card = taskboard.card(home, "Sweep")
    page.goto(f"{taskboard.app}#/view/by-board")
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        drag(page, card_of(page, "Sweep"), lane(page, "Garden"))

    expect(lane(page, "Garden").get_by_role("link", name="Sweep")).to_be_visible()
    assert taskboard.call("GET", f"/cards/{card['id']}")["board"] == garden["id"]
