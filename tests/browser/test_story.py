"""One person's way through the app, in a real browser with a camera."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect

from app.seeding import course, seed_days
from app.serving import serving
from mien.app.law.consent import State
from mien.core.expression import Expression

NEGATIVE = {Expression.NEUTRAL: 4.0, Expression.SAD: 4.0, Expression.ANGRY: 2.0, None: 1.0}
SLOW = 60_000


def start(page: Page, purpose: str = "self-reflection") -> None:
    """From the first start to the live page."""
    page.check(f"input[value={purpose}]")
    page.check("input[value=eu]")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Before the camera opens")).to_be_visible()
    page.get_by_label("I have read this").check()
    page.get_by_role("button", name="I agree").click()
    expect(page.get_by_role("heading", name="Live", exact=True)).to_be_visible()


def read(page: Page) -> None:
    """Open the camera, and wait for a reading."""
    page.get_by_role("button", name="Open the camera").click()
    expect(page.locator("#words")).to_contain_text("An expression like happy", timeout=SLOW)


def test_the_first_start_leads_to_the_live_page(opened, served):
    page = opened(served)
    expect(page.get_by_role("heading", name="What will you use mien for?")).to_be_visible()
    start(page)
    expect(page.locator("#sign")).to_have_text("Not analysing")
    assert served.context.engine.frames == 0


@pytest.mark.slow
def test_from_the_first_start_to_nothing_left(opened, served):
    page = opened(served)
    start(page)
    read(page)
    expect(page.locator("#sign")).to_have_text("Analysing")
    expect(page.locator("#could-be")).to_contain_text("happy")
    assert float(page.locator("li[data-name=happy] .value").inner_text().split()[0]) > 50
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#said")).to_contain_text("one line of numbers a second")
    page.get_by_label("A note for this moment").fill("A first try")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#said")).to_have_text("Noted.")
    page.wait_for_timeout(2500)
    page.get_by_role("button", name="Stop recording").click()
    page.get_by_role("link", name="Open it").click()

    expect(page.get_by_text("A first try")).to_be_visible()
    chart = page.locator("figure img")
    assert "an expression like happy" in chart.get_attribute("alt")
    page.wait_for_load_state("networkidle")
    assert chart.evaluate("image => image.complete && image.naturalWidth > 300")
    page.get_by_label("it was not").select_option("happy")
    page.get_by_role("button", name="Correct", exact=True).click()
    expect(page.get_by_text("Your word counts: the sums follow it")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = download.value.path().read_text().splitlines()
    assert len(rows) == 1 + len(served.store.seconds(1)) >= 3

    page.get_by_text("Erase this recording").click()
    page.get_by_role("button", name="Erase it").click()
    expect(page.get_by_text("Nothing has been recorded yet")).to_be_visible()
    assert served.store.recordings() == ()
    page.get_by_role("link", name="Privacy").click()
    page.get_by_text("Withdraw, and erase everything").click()
    page.get_by_role("button", name="Withdraw my consent").click()
    expect(page.get_by_text("all recordings made under it were erased")).to_be_visible()
    assert served.store.consent().state is State.WITHDRAWN
    page.goto(f"{served.origin}/live")
    expect(page.get_by_role("heading", name="Before the camera opens")).to_be_visible()
    served.store.close()
    assert b"A first try" not in served.store.path.read_bytes()


@pytest.mark.slow
def test_pausing_stops_and_says_so(opened, served):
    served.agree()
    page = opened(served, "/live")
    read(page)
    page.keyboard.press("p")
    expect(page.locator("#sign")).to_have_text("Paused")
    expect(page.locator("#cover")).to_contain_text("Nothing is looked at")
    frames = served.context.engine.frames
    page.wait_for_timeout(600)
    assert served.context.engine.frames == frames
    page.keyboard.press("p")
    expect(page.locator("#sign")).to_have_text("Analysing")
    expect(page.locator("#words")).to_contain_text("An expression like", timeout=SLOW)
    page.keyboard.press("o")
    expect(page.locator("#map")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(500)
    assert page.title().startswith("●")


@pytest.mark.slow
def test_a_recording_that_is_over_does_not_look_as_if_it_ran(opened, served):
    served.agree()
    page = opened(served, "/live")
    read(page)
    record, said = page.locator("#record"), page.locator("#said")
    record.click()
    expect(record).to_have_text("Stop recording R")
    with served.client() as client:
        client.post("/recordings/1/delete")
    expect(said).to_contain_text("it was deleted")
    expect(record).to_have_text("Record R")
    expect(page.locator("#note-form")).to_be_hidden()

    record.click()
    expect(record).to_have_text("Stop recording R")
    served.store.change_settings(retention_days=30)  # another text, which nobody consented to
    expect(page.locator("#cover-words")).to_contain_text("consent anew")
    expect(said).to_have_text("The recording has ended too.")
    expect(record).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#note-form")).to_be_hidden()


@pytest.mark.slow
def test_advice_shows_why_and_can_be_put_off(opened, served):
    seed_days(served.store.path, time.time(), [course(6, NEGATIVE, seed=at) for at in range(4)])
    page = opened(served, "/advice")
    card = page.locator("#short-break")
    expect(card.get_by_text("An expression like negative stood for")).to_be_visible()
    card.get_by_text("Why it may help, and its source").click()
    expect(card.get_by_text("micro-breaks")).to_be_visible()
    card.get_by_role("button", name="It helps").click()
    expect(page.locator("#short-break").get_by_role("button", name="It helps")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.locator("#short-break").get_by_role("button", name="Put it off").click()
    expect(page.locator("#short-break")).to_have_count(0)
    expect(page.get_by_role("heading", name="Where to find human help")).to_be_visible()


@pytest.mark.slow
def test_looks_on_a_schedule_make_one_recording(opened, served):
    served.agree()
    page = opened(served, "/recordings/schedule")
    page.get_by_label("for").select_option("5")
    page.get_by_label("Name").fill("A day")
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("#words")).to_contain_text("An expression like happy", timeout=SLOW)
    expect(page.locator("#state")).to_contain_text("1 look so far. The camera is off", timeout=SLOW)
    page.get_by_role("button", name="End").click()
    expect(page.locator("#state")).to_have_text("Ended. The recording was saved.")
    info = served.store.recording(1)
    assert (info.kind, info.name, info.closed) == ("scheduled", "A day", True)
    assert info.seconds >= 3

    page.get_by_label("over").evaluate("period => { period.options[0].value = 0.0005; period.selectedIndex = 0; }")
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("#state")).to_have_text("The period is over. The recording was saved.", timeout=SLOW)
    assert served.store.recording(2).closed


@pytest.mark.slow
def test_a_schedule_whose_recording_is_refused_or_deleted_says_so_with_the_camera_off(opened, served):
    served.agree()
    page = opened(served, "/recordings/schedule")
    form, state, begin = page.locator("#schedule"), page.locator("#state"), page.get_by_role("button", name="Begin")
    with served.socket() as other:
        other.tell("record")
        other.hear("recording")
        begin.click()
        expect(state).to_contain_text("A recording runs in another tab")
        expect(form).to_have_attribute("data-state", "idle")
        page.wait_for_timeout(1000)
        expect(state).to_contain_text("A recording runs in another tab")
        assert served.context.engine.frames == 0
        other.tell("stop")
        other.hear("recording")
    begin.click()
    expect(form).to_have_attribute("data-state", "running")
    with served.client() as client:
        client.post("/recordings/2/delete")
    expect(state).to_contain_text("it was deleted", timeout=SLOW)
    expect(form).to_have_attribute("data-state", "idle")


UNPLUGGED = """() => window.stream.getTracks().forEach(track => {
    track.stop();  // the browser fires this event only where it was not the page that stopped it
    track.dispatchEvent(new Event("ended"));
})"""
KEEP_THE_STREAM = """
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => window.stream = await ask(wanted);
"""


@pytest.mark.slow
def test_a_camera_that_is_unplugged_stops_the_reading_and_says_so(opened, served):
    served.agree()
    page = opened(served)
    page.add_init_script(KEEP_THE_STREAM)
    page.goto(f"{served.origin}/live")
    read(page)
    page.locator("#record").click()
    expect(page.locator("#record")).to_have_attribute("aria-pressed", "true")
    page.evaluate(UNPLUGGED)
    expect(page.locator("#cover-words")).to_contain_text("The camera was unplugged")
    expect(page.locator("#sign")).to_have_text("Not analysing")
    expect(page.locator("#record")).to_have_attribute("aria-pressed", "false")
    frames = served.context.engine.frames
    page.wait_for_timeout(600)
    assert served.context.engine.frames == frames
    page.get_by_role("button", name="Open the camera again").click()
    expect(page.locator("#sign")).to_have_text("Analysing")

    page.goto(f"{served.origin}/recordings/schedule")
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("#words")).not_to_be_empty(timeout=SLOW)
    page.evaluate(UNPLUGGED)
    expect(page.locator("#state")).to_contain_text("The camera was unplugged")
    expect(page.locator("#state")).to_contain_text("0 looks so far. The camera is off; the next is at")


@pytest.mark.slow
def test_a_picture_is_read_and_forgotten(opened, served, tmp_path, recognizer):
    skimage = pytest.importorskip("skimage.data")
    from app.serving import jpeg

    path = tmp_path / "me.jpg"
    path.write_bytes(jpeg(skimage.astronaut()))
    served.agree()
    page = opened(served, "/upload")
    page.get_by_label("A picture or a video").set_input_files(path)
    page.get_by_label("It shows me alone").check()
    page.get_by_role("button", name="Read it").click()
    expect(page.locator("#state")).to_contain_text("Read and forgotten: 1 face", timeout=SLOW)
    expect(page.locator("#faces")).to_contain_text("An expression like happy")
    assert page.locator("#picture").evaluate("canvas => canvas.width") == 512
    path.write_bytes(b"no picture")
    page.get_by_label("A picture or a video").set_input_files(path)
    page.get_by_role("button", name="Read it").click()
    expect(page.locator("#state")).to_contain_text("neither a picture nor a video")

    film = tmp_path / "film.mp4"
    for large, size, words in ((path, 20_000_001, "picture has 20.1 MB"), (film, 100_000_001, "video has 100.1 MB")):
        with large.open("wb") as file:
            file.truncate(size)
        page.get_by_label("A picture or a video").set_input_files(large)
        page.get_by_role("button", name="Read it").click()
        expect(page.locator("#state")).to_contain_text(words)
    path.write_bytes(b"no picture")
    page.context.clear_cookies()
    page.get_by_label("A picture or a video").set_input_files(path)
    page.get_by_role("button", name="Read it").click()
    expect(page.locator("#state")).to_contain_text("mien does not know this browser")


@pytest.mark.slow
def test_a_second_browser_joins_a_room_and_only_coarse_numbers_leave(opened, served, tmp_path, recognizer):
    served.agree("audience-test")
    lecturer = opened(served, "/rooms")
    lecturer.get_by_role("button", name="Open the room").click()
    code = lecturer.locator(".code").inner_text()
    address = lecturer.locator("dd strong").first.inner_text()
    (tmp_path / "other").mkdir()
    with serving(tmp_path / "other", recognizer) as theirs:
        theirs.agree("audience-test")
        guest = opened(theirs, "/rooms")
        guest.get_by_label("Address").fill(address)
        guest.get_by_label("Code").fill("WRONG")
        guest.get_by_role("button", name="Read what will happen").click()
        expect(guest.get_by_text("the code is wrong")).to_be_visible()
        guest.goto(f"{theirs.origin}/rooms")
        guest.get_by_label("Address").fill(address)
        guest.get_by_label("Code").fill(code.lower())
        guest.get_by_role("button", name="Read what will happen").click()
        expect(guest.get_by_role("heading", name="Before you join")).to_be_visible()
        expect(guest.get_by_text("No picture and no single expression leaves your machine")).to_be_visible()
        guest.get_by_label("I have read this").check()
        guest.get_by_role("button", name="Join the room").click()
        expect(guest.locator("#state")).to_contain_text("in the room")
        guest.get_by_role("button", name="Open the camera").click()
        expect(guest.locator("#words")).to_contain_text("An expression like happy", timeout=SLOW)
        guest.get_by_role("button", name="Too fast").click()
        expect(guest.locator("#tapped")).to_contain_text("Your tap was sent")
        guest.route(
            "**/rooms/tap", lambda route: route.fulfill(status=403, content_type="text/plain", body="as the guard")
        )
        guest.get_by_role("button", name="Too fast").click()
        expect(guest.locator("#tapped")).to_have_text("as the guard")
        expect(lecturer.locator("#state")).to_contain_text("Fewer than 5 people")
        assert theirs.store.recordings() == ()
        lecturer.get_by_role("button", name="Close the room").click()
        expect(guest.locator("#state")).to_contain_text("closed", timeout=SLOW)
        guest.get_by_role("button", name="Leave the room").click()
        expect(guest.get_by_role("heading", name="Rooms")).to_be_visible()
        assert theirs.context.seat is None
        guest.close()  # before its app, which it would still ask


@pytest.mark.slow
def test_teaching_is_refused_faces_and_offered_taps(opened, served):
    page = opened(served)
    page.check("input[value=education]")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="No face is read for this purpose")).to_be_visible()
    expect(page.get_by_text("Art. 5(1)(f)").first).to_be_visible()
    page.get_by_role("link", name="Rooms with taps").click()
    page.get_by_role("button", name="Open the room").click()
    expect(page.get_by_role("heading", name="My room")).to_be_visible()
    expect(page.get_by_text("no face is read for this purpose")).to_be_visible()
