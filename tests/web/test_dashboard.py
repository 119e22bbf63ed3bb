"""Who sees which sessions, and how the list is kept current."""

import pytest
from django.contrib.auth.models import User

from sessions import services
from sessions.models import Session
from sessions.providers.base import ModelStatus
from sessions.sandbox.limits import Limits
from sessions.web.views import dashboard


async def make_session(owner: User, text: str, **fields: object) -> Session:
    session = await services.session_create(
        owner=owner,
        text=text,
        provider="scripted",
        model="scripted",
        image="berth/sandbox",
        limits=Limits(),
    )
    await Session.objects.filter(id=session.id).aupdate(**fields or {"last_line": ""})
    return session


@pytest.mark.parametrize("path", ["/", "/sessions/rows/"])
async def test_each_sees_their_own_sessions_and_an_administrator_all(
    alices, bobs, admins, alice, path
):
    await make_session(alice, "Sort the harbour log")
    assert b"Sort the harbour log" in (await alices.get(path)).content
    assert b"Sort the harbour log" not in (await bobs.get(path)).content
    content = (await admins.get(path)).content
    assert b"Sort the harbour log" in content
    assert b"alice" in content


async def test_search_finds_nothing_of_others(alices, bobs, alice):
    await make_session(alice, "Sort the harbour log")
    assert b"Sort the harbour" in (await alices.get("/sessions/rows/?q=HARBOUR")).content
    assert b"Sort the harbour" not in (await alices.get("/sessions/rows/?q=crane")).content
    assert b"Sort the harbour" not in (await bobs.get("/sessions/rows/?q=harbour")).content


async def test_a_row_shows_what_is_known_of_the_session(alices, alice):
    session = await make_session(
        alice,
        "Count the ships",
        last_line="17 ships",
        status="running",
        container_state="connected",
        input_tokens=12_000,
        output_tokens=400,
    )
    content = (await alices.get("/sessions/rows/")).content.decode()
    for part in (
        "17 ships",
        "Running",
        "connected",
        "12.4k",
        "scripted",
        f"/sessions/{session.id}/",
    ):
        assert part in content, part


async def test_titles_and_lines_are_text_not_markup(alices, alice):
    await make_session(
        alice, "<script>alert(1)</script>", last_line="<img src=x onerror=alert(1)>"
    )
    content = (await alices.get("/")).content.decode()
    assert "<script>alert" not in content
    assert "<img" not in content


async def test_a_search_by_hand_moves_the_address_and_a_poll_does_not(alices):
    headers = {"HX-Request": "true"}
    poll = await alices.get("/sessions/rows/?q=a%26b", headers=headers)
    assert "HX-Replace-Url" not in poll
    typed = await alices.get(
        "/sessions/rows/?q=a%26b", headers={**headers, "HX-Trigger": "session-search"}
    )
    assert typed["HX-Replace-Url"] == "/?q=a%26b"
    cleared = await alices.get(
        "/sessions/rows/?q=", headers={**headers, "HX-Trigger": "session-search"}
    )
    assert cleared["HX-Replace-Url"] == "/"


async def test_the_address_of_a_search_shows_the_search(alices, alice):
    await make_session(alice, "Sort the harbour log")
    content = (await alices.get("/?q=crane")).content.decode()
    assert "No session matches" in content
    assert 'value="crane"' in content


@pytest.mark.parametrize("path", ["/", "/sessions/rows/"])
async def test_without_sessions_the_page_says_what_to_do(alices, path):
    content = (await alices.get(path)).content.decode()
    assert "No sessions yet" in content
    assert 'data-example="Write and test a merge sort in Python"' in content
    assert "scripted, no model" in content


async def test_two_polls_without_a_change_are_the_same_bytes(alices, alice):
    await make_session(alice, "Sort the harbour log")
    first = (await alices.get("/sessions/rows/")).content
    assert first == (await alices.get("/sessions/rows/")).content


@pytest.mark.slow
async def test_a_list_that_is_cut_says_so(alices, alice):
    for number in range(dashboard.MAX_ROWS):
        await make_session(alice, f"Task {number}")
    content = (await alices.get("/sessions/rows/")).content.decode()
    assert content.count('class="row"') == dashboard.MAX_ROWS
    assert "Only the latest 100 are shown" in content
    assert (
        "Only the latest" not in (await alices.get("/sessions/rows/?q=task 17")).content.decode()
    )


async def test_a_deleted_session_leaves_the_list(alices, alice):
    session = await make_session(alice, "Sort the harbour log")
    await services.session_delete(session=session)
    assert b"Sort the harbour" not in (await alices.get("/sessions/rows/")).content


async def test_the_download_of_the_model_is_shown_and_asked_for_every_2_s(alices, models):
    models.model_status = ModelStatus("downloading", 250_000_000, 1_000_000_000)
    content = (await alices.get("/status/")).content.decode()
    assert "250 of 1000 MB · 25%" in content
    assert 'hx-trigger="every 2s"' in content
    assert "it starts when the model is there" in content


@pytest.mark.parametrize("state", ["verifying", "loading"])
async def test_later_states_of_the_model_are_named(alices, models, state):
    models.model_status = ModelStatus(state)
    assert f"{state.capitalize()} the local model" in (await alices.get("/")).content.decode()


async def test_a_model_that_failed_says_why_and_is_not_asked_for_all_the_time(alices, models):
    models.model_status = ModelStatus("failed", message="The weights have a wrong sha256.")
    content = (await alices.get("/status/")).content.decode()
    assert "The weights have a wrong sha256." in content
    assert "every 2s" not in content


async def test_a_model_that_is_ready_needs_no_words(alices, models):
    models.model_status = ModelStatus("ready", 1, 1)
    assert "local model" not in (await alices.get("/status/")).content.decode()


async def test_an_engine_that_is_away_is_said_with_what_to_do(alices, admins, engine):
    assert "Docker engine" not in (await alices.get("/status/")).content.decode()
    engine.is_away = True
    content = (await alices.get("/status/")).content.decode()
    assert "The Docker engine does not answer" in content
    assert "docker info" in content
    assert "secret-place" not in content
    assert "secret-place" in (await admins.get("/status/")).content.decode()


async def test_the_page_opens_while_the_engine_is_away(alices, engine):
    engine.is_away = True
    answer = await alices.get("/")
    assert answer.status_code == 200
    assert b'<option value="berth/sandbox"' in answer.content


async def test_the_default_image_comes_first(alices):
    content = (await alices.get("/")).content.decode()
    assert '<option value="berth/sandbox" selected>' in content
    assert content.index('value="berth/sandbox"') < content.index('value="berth/sandbox-slim"')


async def test_examples_for_the_scripted_model_are_commands_that_run(alices):
    for path in ("/?choice=scripted:scripted", "/sessions/rows/?choice=scripted:scripted"):
        content = (await alices.get(path)).content.decode()
        assert 'data-example="```bash' in content
        assert "<span>for i in 1 2 3 4 5; do echo $i; sleep 1; done</span>" in content
        assert "merge sort" not in content
    page = (await alices.get("/")).content.decode()
    assert 'placeholder="Describe the task' in page
