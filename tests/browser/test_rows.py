"""Making, finding, changing and deleting rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, Route, expect

if TYPE_CHECKING:
    from conftest import Service

pytestmark = pytest.mark.browser


def test_a_card_is_made_found_and_changed(taskboard: Service, page: Page) -> None:
    board = taskboard.board("Garden")
    taskboard.call("POST", "/labels", {"name": "outdoors"})
    page.goto(taskboard.app)
    page.get_by_role("link", name="New card").click()
    page.get_by_role("combobox", name="Board").fill("gar")
    page.get_by_role("option", name="Garden").click()
    page.get_by_label("Title").fill("Mow the lawn")
    page.get_by_label("Estimate").fill("12345678.10")
    page.get_by_label("Due").fill("2026-12-01")
    page.get_by_role("combobox", name="Labels").click()
    page.get_by_role("option", name="outdoors").click()
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("heading", name="Mow the lawn")).to_be_visible()
    expect(page.get_by_text("12,345,678.10")).to_be_visible()
    (card,) = taskboard.call("GET", "/cards")["items"]
    assert (card["board"], card["estimate"], card["due"]) == (board["id"], "12345678.10", "2026-12-01")
    assert len(card["labels"]) == 1

    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Title").fill("Mow the lawns")
    page.get_by_label("Due").fill("")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Cards").first.click()

    expect(page.get_by_role("row", name="Mow the lawns")).to_contain_text("Garden")
    assert taskboard.call("GET", f"/cards/{card['id']}")["due"] is None


def test_a_change_sends_only_what_changed(taskboard: Service, page: Page) -> None:
    card = taskboard.card(taskboard.board(), "Sweep", estimate="1.50")
    page.goto(f"{taskboard.app}#/edit/cards/{card['id']}")
    page.get_by_label("Title").fill("Sweep well")
    with page.expect_request(lambda request: request.method == "PATCH") as sent:
        page.get_by_role("button", name="Save").click()

    assert sent.value.post_data_json == {"title": "Sweep well"}


def test_whoever_leaves_while_a_form_is_being_saved_is_not_called_back(
    taskboard: Service, page: Page
) -> None:
    held: list[Route] = []
    page.route(
        "**/boards", lambda route: held.append(route) if route.request.method == "POST" else route.fallback()
    )
    page.goto(f"{taskboard.app}#/new/boards")
    page.get_by_label("Title").fill("Home")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Labels").click()
    expect(page.get_by_role("heading", name="Labels")).to_be_visible()
    held[0].continue_()

    expect(page.get_by_text("Home is saved.")).to_be_visible()
    expect(page.get_by_role("heading", name="Labels")).to_be_visible()


def test_messages_of_the_service_stand_at_their_fields(taskboard: Service, page: Page) -> None:
    board = taskboard.board()
    page.goto(f"{taskboard.app}#/new/cards?board={board['id']}")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Title")).to_have_accessible_description("Please fill this in.")
    expect(page.get_by_label("Title")).to_be_focused()

    page.get_by_label("Title").fill("Sweep")
    page.get_by_label("Estimate").fill("-1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("An estimate cannot be negative.")).to_be_visible()

    page.get_by_label("Estimate").fill("much")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Estimate")).to_have_accessible_description("Write a number such as 12.50.")
    assert taskboard.call("GET", "/cards")["items"] == []


def test_a_second_row_of_one_name_is_refused_in_the_form(taskboard: Service, page: Page) -> None:
    taskboard.board("Home")
    page.goto(f"{taskboard.app}#/new/boards")
    page.get_by_label("Title").fill("Home")
    page.get_by_role("button", name="Save").click()

    expect(page.locator("form .error, form [role=alert]")).to_have_count(1)
    expect(page).to_have_url(re.compile("#/new/boards$"))


def test_unsaved_changes_are_not_lost_by_accident(taskboard: Service, page: Page) -> None:
    page.goto(f"{taskboard.app}#/new/boards")
    page.get_by_label("Title").fill("Home")
    page.get_by_role("link", name="Labels").click()
    page.get_by_role("button", name="Stay").click()
    expect(page.get_by_label("Title")).to_have_value("Home")

    page.get_by_role("link", name="Labels").click()
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("heading", name="Labels")).to_be_visible()


def test_a_board_with_cards_is_not_deleted_and_the_page_says_why(taskboard: Service, page: Page) -> None:
    board = taskboard.board("Home")
    card = taskboard.card(board, "Sweep")
    page.goto(f"{taskboard.app}#/row/boards/{board['id']}")
    expect(page.get_by_role("region", name="Cards").get_by_role("link", name="Sweep")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Home is still in use.")).to_be_visible()

    taskboard.call("DELETE", f"/cards/{card['id']}")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No boards yet.")).to_be_visible()


def test_a_list_is_searched_narrowed_and_sorted_and_the_address_keeps_it(
    taskboard: Service, page: Page
) -> None:
    board = taskboard.board("Home")
    for title, path in (("Alpha", ()), ("Beta", ("doing",)), ("Gamma", ("doing", "done"))):
        taskboard.card(board, title, *path)
    page.goto(f"{taskboard.app}#/list/cards")
    rows = page.locator("tbody tr")
    page.get_by_role("button", name="Title").click()
    expect(rows.locator("th")).to_have_text(["Alpha", "Beta", "Gamma"])
    page.get_by_role("button", name="Title").click()
    expect(rows.locator("th")).to_have_text(["Gamma", "Beta", "Alpha"])

    page.get_by_role("searchbox").fill("a")
    page.get_by_role("button", name="Filter").click()
    page.get_by_label("Status", exact=True).select_option("doing")
    expect(rows.locator("th")).to_have_text(["Beta"])
    page.reload()
    expect(rows.locator("th")).to_have_text(["Beta"])

    page.get_by_role("button", name="Remove filter Status is Doing").click()
    page.get_by_role("searchbox").fill("nowhere")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()


def test_a_long_list_is_loaded_page_by_page(taskboard: Service, page: Page) -> None:
    for number in range(60):
        taskboard.call("POST", "/labels", {"name": f"label {number:02}"})
    page.goto(f"{taskboard.app}#/list/labels?sort=name")
    expect(page.get_by_role("status").get_by_text("50 labels so far")).to_be_visible()
    page.get_by_role("button", name="Load more").click()

    expect(page.get_by_text("60 labels")).to_be_visible()
    expect(page.get_by_role("button", name="Load more")).to_have_count(0)
    names = page.locator("tbody th").all_inner_texts()
    assert names == [f"label {number:02}" for number in range(60)]


def test_an_action_does_what_the_spec_says(taskboard: Service, page: Page) -> None:
    card = taskboard.card(taskboard.board(), "Sweep")
    page.goto(f"{taskboard.app}#/row/cards/{card['id']}")
    expect(page.get_by_role("button", name="Finish")).to_have_count(0)
    page.get_by_role("button", name="Doing").click()
    page.get_by_role("button", name="Finish").click()

    expect(page.locator(".head .badge")).to_have_text("Done")
    assert taskboard.status(card) == "done"


def test_data_is_never_markup(taskboard: Service, page: Page) -> None:
    title = "<img src=x onerror=alert(1)><b>bold</b>"
    board = taskboard.board(title)
    for address in ("#/", "#/list/boards", f"#/row/boards/{board['id']}", f"#/edit/boards/{board['id']}"):
        page.goto(f"{taskboard.app}{address}")
        expect(page.get_by_text(title).or_(page.locator('input[id="field-0"]')).first).to_be_visible()
        assert page.locator("main b:text('bold'), main img").count() == 0
