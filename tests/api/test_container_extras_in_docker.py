"""What containers have beyond the hosted API, against a real server with real containers."""

import io
import json
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.api.conftest import events_in, make_key
from tests.e2e.conftest import remove_all_of
from tests.serve.server_process import ServerProcess, berth_environment, migrate

pytestmark = [pytest.mark.slow, pytest.mark.docker]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Its administrator lets commands be root's, and named a folder to read and one to write."""
    place = tmp_path_factory.mktemp("extras")
    for name in ("read", "write"):
        (place / name).mkdir(mode=0o777)
        (place / name).chmod(0o777)
    (place / "read" / "ship").write_text("Elbe\n")
    installation = f"test-{uuid.uuid4().hex[:8]}"
    environment = berth_environment(
        place / "var",
        installation,
        BERTH_SCRIPTED_DELAY_S="0",
        BERTH_ROOT_COMMANDS="on",
        BERTH_MOUNTS=f"read={place}/read,write={place}/write:rw",
    )
    migrate(environment)
    running = ServerProcess(environment).start()
    try:
        yield running
    finally:
        running.kill()
        remove_all_of(installation)


@pytest.fixture(scope="module")
def key(server: ServerProcess) -> str:
    return make_key(server)


@pytest.fixture
def http(server: ServerProcess, key: str) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=f"{server.url}/v1", headers=headers, timeout=60) as client:
        yield client


def made(http: httpx2.Client, **options: Any) -> str:
    answer = http.post("/containers", json={"name": "Harbour", **options})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def run(http: httpx2.Client, container: str, command: str, **options: Any) -> Any:
    answer = http.post(f"/containers/{container}/exec", json={"command": command, **options})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_variables_and_user_are_in_force(http: httpx2.Client) -> None:
    plain = made(http, env={"WHO": "Elbe"})
    assert run(http, plain, "echo $WHO; id -u")["stdout"] == "Elbe\n1000\n"
    root = made(http, user="root")
    done = run(http, root, "id -u; touch /etc/made && grep CapEff /proc/self/status; echo $HOME")
    assert done["stdout"].startswith("0\nCapEff:")
    assert done["stdout"].endswith("/root\n")
    # The guest's six capabilities, and none beyond them.
    mask = int(done["stdout"].split()[2], 16)
    assert mask & ~0b11101011 == 0
    other = made(http, user="2000:2000")
    assert (
        run(http, other, "id -u; id -g; cat /root/x 2>&1 | wc -l")["stdout"] == "2000\n2000\n1\n"
    )


def test_mounts_are_where_they_were_asked_for_and_read_only(
    http: httpx2.Client, tmp_path: Path
) -> None:
    container = made(
        http, user="root", mounts=[{"name": "read"}, {"name": "write", "path": "/srv/out"}]
    )
    done = run(http, container, "cat /mnt/read/ship; touch /mnt/read/x; echo over > /srv/out/made")
    assert done["stdout"] == "Elbe\n"
    assert "Read-only file system" in done["stderr"]
    assert run(http, container, "mount -o remount,rw /mnt/read")["outcome"]["exit_code"] != 0
    another = made(http, mounts=[{"name": "write"}])
    assert run(http, another, "cat /mnt/write/made")["stdout"] == "over\n"


def test_setup_runs_in_the_first_container_and_in_the_next(http: httpx2.Client) -> None:
    container = made(http, setup_commands=["echo x >> /workspace/times", "echo tool > /tmp/tool"])
    assert run(http, container, "cat /tmp/tool times")["stdout"] == "tool\nx\n"
    assert http.post(f"/containers/{container}/suspend").json()["state"] == "suspended"
    assert run(http, container, "cat /tmp/tool times")["stdout"] == "tool\nx\nx\n"


def test_a_command_is_streamed(http: httpx2.Client) -> None:
    container = made(http)
    answer = http.post(
        f"/containers/{container}/exec", json={"command": "seq 50000; exit 3", "stream": True}
    )
    events = events_in(answer.text)
    assert "".join(event.get("delta", "") for event in events).split()[-1] == "50000"
    assert events[-1]["exec"]["outcome"] == {"type": "exit", "exit_code": 3}


def test_an_archive_goes_round(http: httpx2.Client) -> None:
    container, other = made(http), made(http)
    run(http, container, "mkdir a && seq 100000 > a/numbers && ln -s numbers a/link")
    data = http.get(f"/containers/{container}/archive").content
    assert http.post(f"/containers/{other}/archive", content=data).status_code == 200
    plain = http.get(f"/containers/{other}/archive?format=tar").content
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        assert archive.getmember("a/link").linkname == "numbers"
        assert archive.getmember("a/numbers").size == 588_895


class Terminal:
    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self.screen = b""
        self.told: list[dict[str, Any]] = []

    def say(self, type: str, **fields: Any) -> None:
        self._socket.send(json.dumps({"type": type, **fields}))

    def type(self, data: bytes) -> None:
        self._socket.send(data)

    def until_shown(self, text: bytes) -> None:
        while text not in self.screen:
            self._step()

    def until_told(self, kind: str) -> dict[str, Any]:
        while not any(one["type"] == kind for one in self.told):
            self._step()
        return next(one for one in self.told if one["type"] == kind)

    def _step(self) -> None:
        message = self._socket.recv(timeout=30)
        if isinstance(message, bytes):
            self.screen += message
        else:
            self.told.append(json.loads(message))


def socket_to(server: ServerProcess, key: str, container: str) -> Connection:
    return connect(
        f"{server.url.replace('http', 'ws', 1)}/v1/containers/{container}/exec",
        additional_headers={"Authorization": f"Bearer {key}"},
    )


def test_a_terminal_is_resized_interrupted_and_ends_with_its_code(
    http: httpx2.Client, server: ServerProcess, key: str
) -> None:
    container = made(http)
    with socket_to(server, key, container) as socket:
        terminal = Terminal(socket)
        command = (
            "trap 'stty size; echo caught; exit 5' INT; echo up; while :; do sleep 0.05; done"
        )
        terminal.say("start", command=command, columns=90, rows=20)
        terminal.until_shown(b"up")
        terminal.say("resize", columns=132, rows=43)
        terminal.until_told("size")
        terminal.type(b"\x03")
        assert terminal.until_told("exit")["outcome"] == {"type": "exit", "exit_code": 5}
    assert b"43 132\r\ncaught" in terminal.screen


def test_who_may_not_have_a_terminal_is_told_in_the_apis_shape(
    http: httpx2.Client, server: ServerProcess, key: str
) -> None:
    container = made(http)
    for secret, name, status in (("wrong", container, 401), (key, "cntr_unknown", 404)):
        with pytest.raises(InvalidStatus) as raised, socket_to(server, secret, name):
            pass
        assert raised.value.response.status_code == status
        body = json.loads(raised.value.response.body or b"")
        assert body["error"]["message"]
