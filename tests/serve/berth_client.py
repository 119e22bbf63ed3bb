"""A browser without a page: signs in by link, and speaks the same HTTP and websocket."""

import http.client
import http.cookiejar
import json
import re
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override
from websockets.asyncio.client import ClientConnection, connect

CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
MAX_FRAME_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class OutputPiece:
    seq: int
    call_id: str
    stream: str
    offset: int
    data: bytes


@dataclass
class Seen:
    """What a viewer got: every event by its number, and output apart."""

    events: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[OutputPiece] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    is_caught_up: bool = False

    def has(self, kind: str) -> bool:
        return any(event["type"] == kind for event in self.events)

    def text(self) -> bytes:
        return b"".join(piece.data for piece in self.outputs)


class StayHere(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like another; what it leads to is the page's business."""

    @override
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class BerthClient:
    """Signed in with a link of `link`'s server."""

    def __init__(self, url: str, link: str) -> None:
        self.url = url
        self._jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(self._jar),
            StayHere,
        )
        page = self._opener.open(link, timeout=30).read().decode()
        token = CSRF.search(page)
        assert token is not None, "the link's page has no form"
        self.post_form(link, {"csrfmiddlewaretoken": token[1]})

    @property
    def cookies(self) -> str:
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._jar)

    @property
    def csrf(self) -> str:
        return next(str(cookie.value) for cookie in self._jar if cookie.name == "csrftoken")

    def post_form(self, url: str, fields: Mapping[str, str]) -> str:
        """POST as a form; returns where it leads to, empty for an answer that stays."""
        return self._post(url, fields)[0]

    def _post(self, url: str, fields: Mapping[str, str]) -> tuple[str, bytes]:
        """Where it leads to, and the body of an answer that stays."""
        request = urllib.request.Request(
            url, data=urllib.parse.urlencode(fields).encode(), method="POST"
        )
        request.add_header("Origin", self.url)
        if any(cookie.name == "csrftoken" for cookie in self._jar):
            request.add_header("X-CSRFToken", self.csrf)
        try:
            with self._opener.open(request, timeout=60) as answer:
                return "", answer.read()
        except urllib.error.HTTPError as error:
            if error.code not in {302, 303}:
                raise AssertionError(f"{url}: {error.code} {error.read(2000)!r}") from error
            with error:
                return str(error.headers["Location"]), b""

    def create_session(self, task: str, **fields: str) -> uuid.UUID:
        """A session on the scripted provider; returns its id."""
        page = self.post_form(
            f"{self.url}/sessions/",
            {
                "task": task,
                "choice": "scripted:scripted",
                "image": "berth/sandbox-slim",
                "memory_mb": "2048",
                "cpus": "2",
                "command_timeout_s": "300",
                "session_hours": "1",
                "pids": "512",
                "max_output_mb": "64",
                **fields,
            },
        )
        found = re.search(r"/sessions/([0-9a-f-]{36})/", page)
        assert found is not None, f"no session was made: {page}"
        return uuid.UUID(found[1])

    def container(self, session_id: uuid.UUID) -> str:
        """Name of the session's container in the engine."""
        _, body = self._post(f"{self.url}/sessions/{session_id}/keep/", {})
        return str(json.loads(body)["session"]["container"])

    def submit(self, session_id: uuid.UUID, text: str) -> None:
        self.post_form(f"{self.url}/sessions/{session_id}/turns/", {"text": text})

    def stop(self, session_id: uuid.UUID) -> None:
        self.post_form(f"{self.url}/sessions/{session_id}/stop/", {})

    def delete(self, session_id: uuid.UUID) -> None:
        self.post_form(f"{self.url}/sessions/{session_id}/delete/", {})

    def download(self, session_id: uuid.UUID, name: str) -> bytes:
        """A file of the workspace's top, which starts a suspended container."""
        query = urllib.parse.quote(name)
        return b"".join(self.stream(f"/sessions/{session_id}/files/raw/?path={query}"))

    def stream(self, path: str) -> Iterator[bytes]:
        """The body of a GET, as it comes."""
        parts = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        try:
            connection.request("GET", path, headers={"Cookie": self.cookies})
            answer = connection.getresponse()
            if answer.status != 200:
                raise AssertionError(f"{path}: {answer.status} {answer.read(500)!r}")
            while piece := answer.read1(1024 * 1024):
                yield piece
            if answer.length:
                raise AssertionError(f"{path}: {answer.length} bytes are missing")
        finally:
            connection.close()

    def socket(self, session_id: uuid.UUID) -> connect:
        """Connect as the session's page does."""
        return session_socket(self.url, self.cookies, session_id)


def session_socket(url: str, cookies: str, session_id: uuid.UUID) -> connect:
    """As `BerthClient.socket`, for a process that has its cookies alone."""
    return connect(
        url.replace("http", "ws", 1) + f"/ws/sessions/{session_id}/",
        additional_headers={"Cookie": cookies, "Origin": url},
        max_size=MAX_FRAME_BYTES,
        compression=None,
        proxy=None,
    )


def split_output(frame: bytes) -> Iterator[OutputPiece]:
    (length,) = struct.unpack_from(">I", frame)
    header = json.loads(frame[4 : 4 + length])
    start = 4 + length
    for piece in header["outputs"]:
        data = frame[start : start + piece["length"]]
        start += piece["length"]
        yield OutputPiece(piece["seq"], piece["call_id"], piece["stream"], piece["offset"], data)


async def watch(
    socket: ClientConnection,
    until: Callable[[Seen], bool],
    *,
    after: int = 0,
    timeout_s: float = 60,
    on_output: Callable[[OutputPiece], None] | None = None,
) -> Seen:
    """Follow behind `after`, acknowledging, until `until` is true."""
    seen = Seen()
    deadline = time.monotonic() + timeout_s
    await socket.send(json.dumps({"type": "follow", "after": after}))
    async for frame in socket:
        if isinstance(frame, bytes):
            for piece in split_output(frame):
                seen.outputs.append(piece)
                seen.seqs.append(piece.seq)
                if on_output is not None:
                    on_output(piece)
            await socket.send(json.dumps({"type": "ack", "seq": seen.seqs[-1]}))
        else:
            message = json.loads(frame)
            if message["type"] == "events":
                seen.events += message["events"]
                seen.seqs += [event["seq"] for event in message["events"]]
                await socket.send(json.dumps({"type": "ack", "seq": seen.seqs[-1]}))
            elif message["type"] == "caught_up":
                seen.is_caught_up = True
        if until(seen):
            return seen
        if time.monotonic() > deadline:
            break
    kinds = [event["type"] for event in seen.events]
    raise AssertionError(f"the socket ended or was late; seen {kinds[-20:]}")


def turn_has_ended(turn: int) -> Callable[[Seen], bool]:
    return lambda seen: any(
        event["type"] == "turn.ended" and event["turn"] == turn for event in seen.events
    )
