"""For everybody: by the keyboard alone, on a phone, in the dark, with little motion, and by axe's rules."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.seeding import course, seed_days
from mien.core.expression import Expression

PAGES = (
    *("/", "/purpose", "/consent", "/live", "/recordings", "/recordings/1", "/recordings/schedule", "/advice"),
    *("/upload", "/rooms", "/privacy", "/help", "/nowhere"),
)
MIXED = {Expression.NEUTRAL: 4.0, Expression.SAD: 4.0, Expression.HAPPY: 2.0, None: 1.0}


@pytest.fixture
def lived(served):
    """An app with two days in it."""
    seed_days(served.store.path, time.time(), [course(6, MIXED, seed=at) for at in range(2)])
    return served


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe, as its wheel brings it."""
    package = pytest.importorskip("axe_playwright_python")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(page, axe: str) -> list[str]:
    """What axe finds against WCAG 2.1 A and AA, and its good practices."""
    page.evaluate(axe + "; null")
    found = page.evaluate(
        "async () => (await axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}))"
        ".violations.map(one => `${one.id}: ${one.nodes.map(node => node.html.slice(0, 120)).join(' | ')}`)"
    )
    return [f"{page.url}: {one}" for one in found]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened, lived, axe, scheme):
    page = opened(lived, color_scheme=scheme)
    found = []
    with lived.client() as client:
        client.post("/rooms/open", data={"reach": "here"})
    for path in (*PAGES, "/rooms/host"):
        page.goto(lived.origin + path)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        found += violations(page, axe)
    assert found == []


@pytest.mark.slow
def test_axe_finds_nothing_at_the_first_start_and_while_analysing(opened, served, axe):
    page = opened(served)
    found = violations(page, axe)
    served.agree()
    page.goto(f"{served.origin}/live")
    page.get_by_role("button", name="Open the camera").click()
    expect(page.locator("#words")).to_contain_text("An expression like", timeout=60_000)
    assert found + violations(page, axe) == []


@pytest.mark.slow
def test_no_page_is_wider_than_a_phone(opened, lived):
    page = opened(lived, viewport="phone")
    for path in PAGES:
        page.goto(lived.origin + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        for target in page.locator("button:visible, a.button:visible, input[type=text]:visible").all():
            box = target.bounding_box()
            assert box["height"] >= 40, (path, target.inner_text())
            assert box["x"] >= 0, path
            assert box["x"] + box["width"] <= 390, path


def press_until(page, name: str, *, key: str = "Tab", most: int = 60) -> None:
    """Move the focus until it is on the control of that name."""
    for _ in range(most):
        page.keyboard.press(key)
        words = page.evaluate(
            "() => { const one = document.activeElement;"
            " return one.ariaLabel || one.labels?.[0]?.innerText || one.innerText || one.value || ''; }"
        )
        if name in words:
            outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"the focus on '{name}' cannot be seen"
            return
    pytest.fail(f"'{name}' cannot be reached by {key}")


@pytest.mark.slow
def test_everything_goes_by_keyboard_alone(opened, served):
    page = opened(served)
    press_until(page, "Skip to the content")
    page.keyboard.press("Enter")
    press_until(page, "Looking at my own expressions")
    page.keyboard.press("Space")
    press_until(page, "Not said, so the EU")
    press_until(page, "Go on")
    page.keyboard.press("Enter")
    page.wait_for_url("**/consent")
    press_until(page, "I have read this")
    page.keyboard.press("Space")
    press_until(page, "I agree")
    page.keyboard.press("Enter")
    page.wait_for_url("**/live")
    press_until(page, "Open the camera")
    page.keyboard.press("Enter")
    expect(page.locator("#words")).to_contain_text("An expression like happy", timeout=60_000)
    expect(page.locator("#aloud")).to_contain_text("An expression like happy")
    page.keyboard.press("r")
    expect(page.locator("#record")).to_have_attribute("aria-pressed", "true")
    press_until(page, "A note for this moment")
    page.keyboard.type("pr, typed and not obeyed")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_have_text("Noted.")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "false")
    press_until(page, "Stop recording", key="Shift+Tab")
    page.wait_for_timeout(1200)
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("The recording was saved")
    press_until(page, "Open it")
    page.keyboard.press("Enter")
    page.wait_for_url("**/recordings/1")
    assert served.store.notes(1)[0].text == "pr, typed and not obeyed"


@pytest.mark.slow
def test_the_pages_work_without_scripts(opened, lived):
    page = opened(lived, java_script_enabled=False)
    page.goto(f"{lived.origin}/recordings/1")
    page.locator("textarea").fill("by hand")
    page.get_by_role("button", name="Add the note").click()
    expect(page.get_by_text("by hand")).to_be_visible()
    page.goto(f"{lived.origin}/advice")
    expect(page.get_by_role("heading", name="Advice")).to_be_visible()


@pytest.mark.slow
def test_nothing_moves_for_those_who_want_it_so(opened, served):
    served.agree()
    page = opened(served, "/live", reduced_motion="reduce")
    names = page.evaluate(
        "() => [getComputedStyle(document.querySelector('#sign'), '::before').animationName,"
        " getComputedStyle(document.querySelector('.fill')).transitionDuration]"
    )
    assert names == ["none", "0s"]
