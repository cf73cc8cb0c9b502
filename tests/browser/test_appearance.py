"""Phones, themes, accessibility, and the network going away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from conftest import Service

pytestmark = pytest.mark.browser

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PAGES = [
    "",
    "list/cards",
    "board/cards",
    "row/cards/{card}",
    "edit/cards/{card}",
    "new/cards",
    "row/boards/{board}",
]


@pytest.fixture
def addresses(taskboard: Service) -> list[str]:
    """Every kind of page, of rows with long words in them."""
    board = taskboard.board("Housekeeping and everything else around the house")
    label = taskboard.call("POST", "/labels", {"name": "x" * 60})
    card = taskboard.card(
        board,
        "Donaudampfschifffahrtsgesellschaftskapitaensmuetzenabzeichen",
        "doing",
        due="2026-12-01",
        estimate="12345678.90",
        labels=[label["id"]],
        notes="a long line of text " * 20,
    )
    names = {"card": card["id"], "board": board["id"]}
    return [f"{taskboard.app}#/{address.format_map(names)}" for address in PAGES]


def test_a_missing_browser_is_a_failure_that_says_how_to_get_one(browser_path: str, tmp_path: Path) -> None:
    this = f"{__file__}::test_a_missing_browser_is_a_failure_that_says_how_to_get_one"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", this]
    done = subprocess.run(
        command, env=os.environ | {"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert Path(browser_path).is_file()
    assert done.returncode == 1
    assert "No browser. Get one with: apt-get install" in done.stdout


def violations(page: Page) -> list[str]:
    found = Axe().run(page, options={"runOnly": RULES}).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in found]


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("main h1")).to_be_attached()
    page.wait_for_load_state("networkidle")
    expect(page.locator(".skeleton")).to_have_count(0)


@pytest.mark.parametrize("width", [320, 390, 768, 3840])
def test_no_page_scrolls_sideways(width: int, addresses: list[str], make_page: Callable[..., Page]) -> None:
    page = make_page(viewport={"width": width, "height": 844}, has_touch=width < 768, is_mobile=width < 768)
    for address in addresses:
        open_page(page, address)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, address


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_breaks_a_rule_of_accessibility(
    width: int, scheme: str, addresses: list[str], make_page: Callable[..., Page]
) -> None:
    page = make_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    for address in addresses:
        open_page(page, address)
        assert violations(page) == [], address


def test_the_check_of_accessibility_sees_a_missing_label(taskboard: Service, page: Page) -> None:
    open_page(page, f"{taskboard.app}#/new/boards")
    page.evaluate("() => document.querySelector('label[for]').remove()")
    assert any(each.startswith("label:") for each in violations(page))


def test_the_sign_in_page_breaks_no_rule_of_accessibility(closed_taskboard: Service, page: Page) -> None:
    page.goto(closed_taskboard.app)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert violations(page) == []


def test_the_theme_follows_the_system_until_somebody_chooses(
    taskboard: Service, make_page: Callable[..., Page]
) -> None:
    page = make_page(color_scheme="dark")
    page.goto(taskboard.app)
    ground = "() => getComputedStyle(document.body).backgroundColor"
    expect(page.get_by_role("button", name="Use the light theme")).to_be_visible()
    assert page.evaluate(ground) == "rgb(11, 14, 20)"
    page.get_by_role("button", name="Use the light theme").click()
    page.reload()

    expect(page.get_by_role("button", name="Use the dark theme")).to_be_visible()
    assert page.evaluate(ground) == "rgb(249, 250, 252)"


def test_a_finger_opens_the_menus(taskboard: Service, make_page: Callable[..., Page]) -> None:
    card = taskboard.card(taskboard.board(), "Sweep")
    page = make_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto(taskboard.app)
    page.get_by_role("button", name="Menu").tap()
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Board view").tap()
    page.get_by_role("button", name="Move Sweep").tap()
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.get_by_role("menuitem", name="Doing").tap()

    assert taskboard.status(card) == "doing"


def test_a_finger_drags_a_card_by_its_grip(taskboard: Service, make_page: Callable[..., Page]) -> None:
    card = taskboard.card(taskboard.board(), "Sweep")
    page = make_page(viewport={"width": 1024, "height": 768}, has_touch=True, is_mobile=True)
    page.goto(f"{taskboard.app}#/board/cards")
    start = page.locator(".grip").bounding_box()
    end = page.get_by_role("region", name="Doing").bounding_box()
    assert start
    assert end
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y} for x, y in points]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        touch("touchStart", (start["x"] + 8, start["y"] + 8))
        touch("touchMove", (start["x"] + 60, start["y"] + 30))
        touch("touchMove", (end["x"] + 100, end["y"] + 120))
        touch("touchEnd")

    assert taskboard.status(card) == "doing"


def test_the_keyboard_skips_the_navigation(taskboard: Service, page: Page) -> None:
    open_page(page, taskboard.app)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_new_page_takes_the_focus_and_names_the_tab(taskboard: Service, page: Page) -> None:
    open_page(page, taskboard.app)
    page.get_by_role("link", name="Labels").first.click()
    expect(page.get_by_role("heading", name="Labels")).to_be_focused()
    expect(page).to_have_title("Labels · Taskboard")


def test_without_a_network_the_app_opens_says_so_and_recovers(taskboard: Service, page: Page) -> None:
    open_page(page, taskboard.app)
    page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
    page.context.set_offline(True)
    page.reload()
    expect(page.get_by_text("No connection.")).to_be_visible()
    expect(page.get_by_text("The service cannot be reached.").first).to_be_visible()

    page.context.set_offline(False)
    page.get_by_role("link", name="Labels").first.click()
    expect(page.get_by_text("No labels yet.")).to_be_visible()
    expect(page.get_by_text("No connection.")).to_have_count(0)
