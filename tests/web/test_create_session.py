"""The new-session form and the guided tour."""

import dataclasses
import os

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from sessions.models import Session, Turn, Upload
from sessions.runtime.wiring import default_limits, max_limits, runtime
from sessions.sandbox.limits import GIB, MIB
from sessions.web.forms import LIMIT_FIELDS

FORM = {"task": "Write a merge sort", "choice": "scripted:scripted", "image": "berth/sandbox"}
HTMX = {"HX-Request": "true"}


async def test_the_form_makes_a_session_of_the_sender(alices, alice):
    answer = await alices.post("/sessions/", FORM)
    session = await Session.objects.aget()
    assert (answer.status_code, answer["Location"]) == (303, f"/sessions/{session.id}/")
    assert session.owner_id == alice.id
    assert (session.provider, session.model, session.image) == (
        "scripted",
        "scripted",
        "berth/sandbox",
    )
    assert (await Turn.objects.aget()).text == "Write a merge sort"


async def test_htmx_is_led_to_the_session(alices):
    answer = await alices.post("/sessions/", FORM, headers=HTMX)
    session = await Session.objects.aget()
    assert answer["HX-Redirect"] == f"/sessions/{session.id}/"


async def test_limits_asked_for_are_the_session_s_and_empty_ones_the_default(alices):
    limits = {
        "memory_mb": "2048",
        "cpus": "0.5",
        "pids": "100",
        "disk_mb": "300",
        "command_timeout_s": "30",
        "max_output_mb": "8",
        "session_hours": "",
    }
    await alices.post("/sessions/", {**FORM, **limits})
    stored = (await Session.objects.aget()).limits
    assert stored["memory_bytes"] == 2 * GIB
    assert stored["cpus"] == 0.5
    assert stored["pids"] == 100
    assert stored["disk_bytes"] == 300 * MIB
    assert stored["command_timeout_s"] == 30.0
    assert stored["max_output_bytes"] == 8 * MIB
    assert stored["session_time_s"] == 8 * 3600


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("memory_mb", "1"),
        ("memory_mb", "999999999"),
        ("memory_mb", "lots"),
        ("cpus", "nan"),
        ("cpus", "-1"),
        ("pids", "1.5"),
        ("disk_mb", "63"),
        ("disk_mb", "999999999"),
        ("command_timeout_s", "0"),
        ("session_hours", "inf"),
        ("max_output_mb", "0"),
    ],
)
async def test_limits_out_of_bounds_are_refused_at_their_field(alices, field, value):
    answer = await alices.post("/sessions/", {**FORM, field: value}, headers=HTMX)
    assert answer.status_code == 422
    error = answer.content.decode().split(f'id="error-{field}"')[1].split("</p>")[0]
    assert error.split(">")[1].strip()
    assert not await Session.objects.aexists()


CEILINGS = [
    ("memory_mb", "BERTH_MAX_MEMORY_MB", 2048),
    ("cpus", "BERTH_MAX_CPUS", 3.5),
    ("pids", "BERTH_MAX_PIDS", 700),
    ("disk_mb", "BERTH_MAX_DISK_MB", 20_000),
    ("command_timeout_s", "BERTH_MAX_COMMAND_TIMEOUT_S", 600.0),
    ("session_hours", "BERTH_MAX_SESSION_HOURS", 9.5),
]


@pytest.mark.parametrize(("field", "setting", "most"), CEILINGS)
async def test_nobody_gets_more_than_the_operator_allows(alices, settings, field, setting, most):
    setattr(settings, setting, most)
    runtime().config = dataclasses.replace(runtime().config, limits_max=max_limits())
    above = {**FORM, field: str(int(most) + 1)}
    assert (await alices.post("/sessions/", above, headers=HTMX)).status_code == 422
    assert not await Session.objects.aexists()
    assert (await alices.post("/sessions/", {**FORM, field: str(int(most))})).status_code == 303


@pytest.mark.parametrize(("field", "setting", "_most"), CEILINGS)
def test_a_ceiling_never_goes_below_the_default(settings, field, setting, _most):
    setattr(settings, setting, 0)
    default, most = default_limits(), max_limits()
    attribute = next(limit.attribute for limit in LIMIT_FIELDS if limit.name == field)
    assert getattr(most, attribute) == getattr(default, attribute) > 0


def test_nobody_may_ask_for_more_than_the_machine_has():
    assert max_limits().cpus <= max(os.cpu_count() or 1, default_limits().cpus)
    assert max_limits().memory_bytes <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert max_limits().pids == 4096


@pytest.mark.parametrize(
    "change",
    [
        {"choice": "openai_chat:stolen"},
        {"choice": ""},
        {"image": "somebody/else"},
        {"image": ""},
        {"task": ""},
        {"task": " \n\t "},
        {"task": "x" * (1024 * 1024 + 1)},
    ],
)
async def test_what_is_not_offered_makes_no_session_and_keeps_the_input(alices, change):
    answer = await alices.post("/sessions/", {**FORM, "memory_mb": "512", **change})
    assert answer.status_code == 422
    assert b'class="field-error">' in answer.content
    assert b'value="512"' in answer.content
    assert not await Session.objects.aexists()


async def test_a_long_prompt_is_taken_whole(alices):
    task = "x" * (1024 * 1024)
    assert (await alices.post("/sessions/", {**FORM, "task": task})).status_code == 303
    assert (await Turn.objects.aget()).text == task


async def test_a_prompt_beyond_all_reason_is_refused_with_a_sentence(alices):
    answer = await alices.post(
        "/sessions/", {**FORM, "task": "x" * (5 * 1024 * 1024)}, headers=HTMX
    )
    assert answer.status_code == 413
    assert answer["HX-Retarget"] == "#toasts"
    assert b"Upload it as a file instead" in answer.content


async def test_binary_and_markup_in_a_prompt_stay_text(alices):
    answer = await alices.post(
        "/sessions/", {**FORM, "task": "a\0b\x1b[2J</textarea><script>", "image": ""}
    )
    assert answer.status_code == 422
    assert b"</textarea><script>" not in answer.content


async def test_files_travel_with_the_task(alices):
    files = [SimpleUploadedFile("a b.txt", b"one"), SimpleUploadedFile("data.bin", b"\0\xff")]
    answer = await alices.post("/sessions/", {**FORM, "files": files})
    assert answer.status_code == 303
    uploads = {upload.name: upload async for upload in Upload.objects.all()}
    assert set(uploads) == {"a%20b.txt", "data.bin"}
    with open(uploads["data.bin"].stored_path, "rb") as stored:  # noqa: ASYNC230, PTH123
        assert stored.read() == b"\0\xff"


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..", "a\nb", "a\"b'c", "\u202egnp.exe", "x" * 400, "a/b\\c", " ", "-rf"],
)
async def test_odd_file_names_end_in_a_bare_name_or_an_error(alices, name):
    file = SimpleUploadedFile("placeholder", b"x")
    # As a client sends it; the constructor would take only the bare name.
    vars(file)["_name"] = name
    answer = await alices.post("/sessions/", {**FORM, "files": file})
    assert answer.status_code in {303, 422}
    stored = [upload.name async for upload in Upload.objects.all()]
    assert all("/" not in each and each not in {"", ".", ".."} for each in stored)
    # Django takes a name of dots alone for no file at all.
    assert len(stored) == (answer.status_code == 303 and name != "..")


async def test_the_tour_is_a_scripted_session_labelled_as_one(alices, alice):
    answer = await alices.post("/sessions/tour/")
    session = await Session.objects.aget()
    assert (answer.status_code, answer["Location"]) == (303, f"/sessions/{session.id}/")
    assert (session.is_tour, session.provider, session.owner_id) == (True, "scripted", alice.id)
    assert b"scripted tour" in (await alices.get("/")).content


async def test_strangers_start_nothing(async_client, transactional_db):
    for path in ("/sessions/", "/sessions/tour/"):
        assert (await async_client.post(path, FORM)).status_code == 302
    assert not await Session.objects.aexists()


async def test_a_task_can_be_given_while_the_engine_is_away(alices, engine):
    engine.is_away = True
    assert (await alices.post("/sessions/", FORM)).status_code == 303


async def test_files_that_cannot_be_stored_make_no_session_and_say_so(alices, tmp_path):
    (tmp_path / "uploads").touch()
    files = [SimpleUploadedFile("a.txt", b"one")]
    answer = await alices.post("/sessions/", {**FORM, "files": files}, headers=HTMX)
    assert answer.status_code == 507
    assert b"The files were not sent." in answer.content
    assert str(tmp_path).encode() not in answer.content
    assert not await Session.objects.aexists()
