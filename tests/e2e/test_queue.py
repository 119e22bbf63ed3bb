from playwright.sync_api import Page, expect

from tests.e2e.session_page import WAIT, create_session, let_go, script


def test_message_sent_meanwhile_waits_and_can_be_taken_back(page: Page) -> None:
    session = create_session(page, script(f"echo busy; {WAIT}"))
    session.wait_for_terminal("busy")
    session.send(script("echo never-run"))
    session.send(script("echo run-later"))
    expect(session.queue.get_by_role("listitem")).to_have_count(2)

    page.reload()
    expect(session.queue.get_by_role("listitem")).to_have_count(2)
    first = session.queue.get_by_role("listitem").filter(has_text="never-run")
    first.get_by_role("button", name="Remove").click()
    expect(session.queue.get_by_role("listitem")).to_have_count(1)

    let_go(session)
    session.wait_until_done()
    expect(session.cards).to_have_count(2)
    shown = session.terminal_text()
    assert "run-later" in shown
    assert "never-run" not in shown


def test_stop_leaves_the_waiting_message_to_run(page: Page) -> None:
    session = create_session(page, script("echo busy; sleep 300"))
    session.wait_for_terminal("busy")
    session.send(script("echo after-the-stop"))
    session.message.press("Escape")
    session.message.press("Escape")
    expect(session.card(0)).to_have_attribute("data-ending", "stopped")
    session.wait_for_terminal("after-the-stop")
