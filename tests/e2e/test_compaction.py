"""A person sees that the model goes on from a summary."""

import json

from playwright.sync_api import Page, expect

from tests.e2e.session_page import create_session, script
from tests.serve.server_process import ServerProcess, manage

COMPACT = """
import uuid
from django.db import transaction
from sessions.events import log
from sessions.events.types import ContextCompacted
with transaction.atomic():
    log.append_now(
        uuid.UUID({session_id}), [ContextCompacted(1, "gAAA-sealed", 52000, 1900, 51000, 900)]
    )
"""


def test_the_page_says_that_the_context_was_compacted(page: Page, server: ServerProcess) -> None:
    session = create_session(page, script("echo hello"))
    session.wait_until_done()
    session_id = json.dumps(page.url.rstrip("/").rpartition("/")[2])
    code = COMPACT.format(session_id=session_id)
    done = manage(server.environment, "shell", "--no-imports", "-c", code)
    assert done.returncode == 0, done.stderr
    note = page.locator("#timeline .note")
    expect(note).to_contain_text("Context compacted")
    expect(note).to_contain_text("52.0k tokens became 1.9k")
    page.reload()
    expect(note).to_have_count(1)
    assert "gAAA-sealed" not in page.content()
