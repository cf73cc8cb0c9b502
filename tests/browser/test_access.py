"""Signing in, and what each role is offered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from conftest import Service

pytestmark = pytest.mark.browser


def sign_in(page: Page, role: str, password: str = "") -> None:
    page.get_by_label("Email").fill(f"{role}@example.com")
    page.get_by_label("Password").fill(password or f"demo-{role}")
    page.get_by_role("button", name="Sign in").click()


def test_a_wrong_password_is_told_and_the_right_one_lets_in(closed_taskboard: Service, page: Page) -> None:
    page.goto(f"{closed_taskboard.app}#/list/cards")
    sign_in(page, "admin", "wrong")
    expect(page.get_by_role("alert")).to_have_text("Email or password is wrong.")
    sign_in(page, "admin")

    expect(page.get_by_role("heading", name="Cards")).to_be_visible()
    expect(page.get_by_text("admin@example.com")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Cards")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to Taskboard")).to_be_visible()


def test_a_viewer_is_offered_nothing_that_would_be_refused(closed_taskboard: Service, page: Page) -> None:
    closed_taskboard.sign_in("admin")
    card = closed_taskboard.card(closed_taskboard.board(), "Sweep", "doing")
    page.goto(f"{closed_taskboard.app}#/row/cards/{card['id']}")
    sign_in(page, "viewer")
    expect(page.get_by_role("heading", name="Sweep")).to_be_visible()
    for name in ("Finish", "Todo", "Delete"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    expect(page.get_by_role("link", name="Edit")).to_have_count(0)

    page.goto(f"{closed_taskboard.app}#/board/cards")
    expect(page.get_by_role("link", name="Sweep")).to_be_visible()
    expect(page.get_by_role("button", name="Move Sweep")).to_have_count(0)
    page.goto(f"{closed_taskboard.app}#/new/cards")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()


def test_a_member_works_with_cards_and_only_reads_boards(closed_taskboard: Service, page: Page) -> None:
    closed_taskboard.sign_in("admin")
    card = closed_taskboard.card(closed_taskboard.board("Home"), "Sweep", "doing")
    page.goto(f"{closed_taskboard.app}#/list/boards")
    sign_in(page, "member")
    expect(page.get_by_role("row", name="Home")).to_be_visible()
    expect(page.get_by_role("link", name="New board")).to_have_count(0)

    page.goto(f"{closed_taskboard.app}#/row/cards/{card['id']}")
    page.get_by_role("button", name="Finish").click()
    expect(page.locator(".head .badge")).to_have_text("Done")
    assert closed_taskboard.status(card) == "done"


def test_a_token_that_is_no_longer_accepted_leads_to_the_sign_in_page(
    closed_taskboard: Service, page: Page
) -> None:
    page.goto(closed_taskboard.app)
    sign_in(page, "admin")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.evaluate(
        """() => {
            const kept = JSON.parse(sessionStorage.getItem("taskboard.session"));
            sessionStorage.setItem("taskboard.session", JSON.stringify({ ...kept, token: kept.token + "x" }));
        }"""
    )
    page.reload()

    expect(page.get_by_role("alert")).to_have_text("Your session has ended. Please sign in again.")
