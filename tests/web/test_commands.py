"""The commands that let people and programs in."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from sessions.models import ApiKey


def output_of(*args: str) -> str:
    out = StringIO()
    call_command(*args, stdout=out)
    return out.getvalue()


def test_the_first_administrator_is_made_once_and_without_a_password(transactional_db):
    assert "make sign-in" in output_of("ensure_admin")
    output_of("ensure_admin")
    admin = User.objects.get()
    assert (admin.username, admin.is_staff, admin.is_superuser) == ("admin", True, True)
    assert not admin.has_usable_password()


def test_set_up_makes_the_administrator_without_a_word(transactional_db):
    assert output_of("ensure_admin", "--verbosity", "0") == ""
    assert User.objects.filter(username="admin").exists()


def test_a_link_leads_to_the_server_that_runs(admin, settings):
    (settings.VAR_DIR / "address").write_text("http://127.0.0.1:8123\n")
    assert output_of("sign_in_link").startswith("http://127.0.0.1:8123/sign-in/link/")


def test_an_existing_administrator_is_left_alone(admin):
    assert "root" in output_of("ensure_admin")
    assert User.objects.count() == 1


def test_the_printed_link_signs_its_user_in(alice, settings):
    settings.BERTH_URL = "https://berth.example:8443/"
    link = output_of("sign_in_link", "alice").strip()
    assert link.startswith("https://berth.example:8443/sign-in/link/")
    client = Client()
    client.post(link.removeprefix("https://berth.example:8443"))
    assert client.session["_auth_user_id"] == str(alice.id)


def test_a_link_without_a_name_is_the_administrator_s(admin):
    link = output_of("sign_in_link").strip()
    client = Client()
    client.post("/sign-in" + link.split("/sign-in", 1)[1])
    assert client.session["_auth_user_id"] == str(admin.id)


@pytest.mark.parametrize("args", [("sign_in_link", "ghost"), ("create_api_key", "ghost", "x")])
def test_unknown_users_are_refused(transactional_db, args):
    with pytest.raises(CommandError, match="no active user named 'ghost'"):
        output_of(*args)


def test_a_key_is_printed_once_and_kept_as_a_hash(alice):
    secret = output_of("create_api_key", "alice", "nightly").strip()
    key = ApiKey.objects.get()
    assert secret.startswith(key.prefix)
    assert (key.user_id, key.name) == (alice.id, "nightly")
    assert secret not in key.key_hash


def test_a_key_needs_a_name(alice):
    with pytest.raises(CommandError, match="name"):
        output_of("create_api_key", "alice", "  ")


def test_a_key_is_made_with_scopes_and_an_end(alice):
    output_of(
        "create_api_key", "alice", "x", "--scope", "files.read", "--scope", "responses.write"
    )
    limited = ApiKey.objects.get()
    assert limited.scopes == ["responses.write", "files.read"]
    assert limited.expires_at is None
    output_of("create_api_key", "alice", "y", "--expires-days", "2")
    ending = ApiKey.objects.get(name="y")
    assert ending.scopes == ["all"]
    assert ending.expires_at is not None


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--scope", "everything"], "no scope everything"),
        (["--expires-days", "-1"], "lives for up to"),
        (["--expires-days", "1e300"], "lives for up to"),
        (["--expires-days", "nan"], "lives for up to"),
    ],
)
def test_what_a_key_cannot_be_made_with_is_said(alice, args, words):
    with pytest.raises(CommandError, match=words):
        output_of("create_api_key", "alice", "x", *args)
    assert not ApiKey.objects.exists()
