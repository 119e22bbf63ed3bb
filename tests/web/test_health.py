"""/healthz for probes."""

from sessions.runtime.wiring import runtime


async def test_a_healthy_process_says_ok_without_sign_in(async_client, transactional_db):
    runtime().supervisor_seen()
    answer = await async_client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "database": "ok",
        "docker": "ok",
        "supervisor": "ok",
    }


async def test_a_process_without_supervisor_is_not_ill(async_client, transactional_db):
    answer = await async_client.get("/healthz")
    assert (answer.status_code, answer.json()["supervisor"]) == (200, "off")


async def test_a_missing_engine_is_named_but_not_described(async_client, engine, transactional_db):
    engine.is_away = True
    answer = await async_client.get("/healthz")
    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["docker"]) == ("degraded", "failed")
    assert b"secret-place" not in answer.content
