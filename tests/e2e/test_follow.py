"""The timeline stays at its end by itself, until a person scrolls up."""

from playwright.sync_api import Page, expect

from tests.e2e.session_page import SessionPage, create_session, script

LONG_COMMENT = "\n".join(f"# line {number} of a long preface" for number in range(40))
PARALLEL = "\n".join(
    f"```bash\nfor i in 1 2 3 4 5 6; do echo part-{number}-$i; sleep 0.1; done\n```"
    for number in range(4)
)
GAP = """(scroller) => scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop"""


def expect_at_end(page: Page) -> None:
    page.wait_for_timeout(500)
    expect(page.get_by_role("button", name="Jump to latest")).to_be_hidden()
    assert page.locator(".timeline-scroll").evaluate(GAP) < 8


def start_long(page: Page) -> SessionPage:
    session = create_session(page, f"{LONG_COMMENT}\n{PARALLEL}\n---\n{PARALLEL}")
    session.wait_until_done()
    expect(session.cards).to_have_count(8)
    return session


def test_cards_that_grow_do_not_end_the_following(page: Page) -> None:
    start_long(page)
    expect_at_end(page)


def test_finished_session_opens_at_its_end(page: Page) -> None:
    session = start_long(page)
    page.reload()
    session.wait_until_connected()
    expect_at_end(page)


def test_person_who_scrolls_up_stays_there_until_they_send(page: Page) -> None:
    session = start_long(page)
    scroller = page.locator(".timeline-scroll")
    scroller.hover()
    page.mouse.wheel(0, -900)
    expect(page.get_by_role("button", name="Jump to latest")).to_be_visible()
    top = scroller.evaluate("(scroller) => scroller.scrollTop")
    page.wait_for_timeout(1500)
    assert abs(scroller.evaluate("(scroller) => scroller.scrollTop") - top) < 2

    session.send(script("echo after-the-scroll"))
    expect(session.cards).to_have_count(9)
    session.wait_until_done()
    expect_at_end(page)


def test_long_message_is_folded_and_its_blocks_are_code(page: Page) -> None:
    start_long(page)
    message = page.get_by_role("article", name="You")
    expect(message.locator("pre")).to_have_count(8)
    expect(message).not_to_contain_text("```")
    folded = message.locator(".message-text").evaluate("(text) => text.clientHeight")
    message.get_by_role("button", name="Show all").click()
    unfolded = message.locator(".message-text").evaluate("(text) => text.clientHeight")
    assert unfolded > folded * 2
    expect(message.get_by_role("button", name="Show less")).to_be_visible()
