"""Daphne with back-pressure: `await send(...)` returns when the client has room for more.

Daphne hands every message to Twisted at once and returns, so one client that does not read makes it
hold a whole download, or all that a terminal prints, in memory; it also queues a whole request
body in memory before the application reads it. Here a gate on each connection closes while the
transport's buffer is full, and bodies are read from Twisted's spool as the application asks, by a
thread. How large a body may be is decided in `body_limits`.
See docs/decisions/0002-back-pressure.md.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine, MutableMapping, Sequence
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import Any, BinaryIO, Protocol

from autobahn.websocket.types import ConnectionDeny
from channels.routing import ProtocolTypeRouter

# Daphne installs the asyncio reactor when it is imported, so it comes before Twisted's reactor.
from daphne.http_protocol import HTTPFactory  # type: ignore[import-untyped]
from daphne.server import Server  # type: ignore[import-untyped]
from daphne.ws_protocol import (  # type: ignore[import-untyped]
    WebSocketFactory,
    WebSocketProtocol,
)
from twisted.internet import reactor as _reactor
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IPushProducer
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    STDLibLogObserver,
    globalLogBeginner,
)
from typing_extensions import override
from zope.interface import implementer  # type: ignore[import-untyped]

from sessions.runtime.body_limits import BodyLimits, LimitedRequest

logger = logging.getLogger(__name__)

# Twisted declares its reactor as a module, whose methods come from the installed class.
reactor: Any = _reactor

Message = MutableMapping[str, Any]

BODY_CHUNK_BYTES = 256 * 1024
MAX_FRAME_BYTES = 1024 * 1024
"""Largest websocket message taken from a client; the socket's own protocol asks for less."""
MAX_WAITING_FRAMES = 64
"""Frames of one websocket the application has not taken yet; past it the client is not read."""
CLOSE_RESTARTING = 3001
"""Of the codes an application may send (RFC 6455, 7.4.2); a page comes back after it."""


class Transport(Protocol):
    disconnecting: bool

    def registerProducer(self, producer: object, streaming: bool) -> None: ...  # noqa: N802
    def unregisterProducer(self) -> None: ...  # noqa: N802
    def pauseProducing(self) -> None: ...  # noqa: N802
    def resumeProducing(self) -> None: ...  # noqa: N802


@implementer(IPushProducer)
class Gate:
    """Closed while a transport's send buffer is full; open for good once the connection is lost."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._is_lost = False

    async def wait(self) -> None:
        if self._is_lost:
            # Nothing slows a sender to nobody down, and its end comes from the loop.
            await asyncio.sleep(0)
        await self._open.wait()

    def pauseProducing(self) -> None:  # noqa: N802
        if not self._is_lost:
            self._open.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        self._open.set()

    def stopProducing(self) -> None:  # noqa: N802
        self._is_lost = True
        self._open.set()


class RequestInbox:
    """What the application of an HTTP request receives: the body as it asks, then the end."""

    def __init__(self, body: BinaryIO) -> None:
        self._body = body
        self._is_body_read = False
        self._messages: asyncio.Queue[Message] = asyncio.Queue()

    def put_nowait(self, message: Message) -> None:
        # Daphne puts the body too, but sees it empty (`UnreadBody`).
        if message["type"] != "http.request":
            self._messages.put_nowait(message)

    async def get(self) -> Message:
        if not self._is_body_read and (chunk := await self._read()) is not None:
            self._is_body_read = len(chunk) < BODY_CHUNK_BYTES
            return {"type": "http.request", "body": chunk, "more_body": not self._is_body_read}
        return await self._messages.get()

    async def _read(self) -> bytes | None:
        """The body's next piece; None when it was closed because its client has gone."""
        try:
            if isinstance(self._body, BytesIO):
                return self._body.read(BODY_CHUNK_BYTES)
            # The disk may be slow, and a body long: everybody else's turn comes in between.
            return await asyncio.to_thread(self._body.read, BODY_CHUNK_BYTES)
        except ValueError:
            if self._body.closed:
                return None
            raise


class UnreadBody:
    """A request's spooled body, which looks empty to whoever would read all of it at once."""

    def __init__(self, body: BinaryIO) -> None:
        self._body = body

    @property
    def closed(self) -> bool:
        return self._body.closed

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._body.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        return b""

    def close(self) -> None:
        self._body.close()


class SocketInbox:
    """What a consumer receives. Its client is not read while `MAX_WAITING_FRAMES` wait."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._messages: asyncio.Queue[Message] = asyncio.Queue()

    def put_nowait(self, message: Message) -> None:
        self._messages.put_nowait(message)
        if self._messages.qsize() == MAX_WAITING_FRAMES:
            self._transport.pauseProducing()

    async def get(self) -> Message:
        message = await self._messages.get()
        if self._messages.qsize() == MAX_WAITING_FRAMES - 1:
            self._transport.resumeProducing()
        return message


class PacedRequest(LimitedRequest):
    """An HTTP request whose response waits for its client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gate = Gate()
        # Twisted would parse forms as well, in memory, for nobody.
        self._parsePOSTFormSubmission = False

    @override
    def process(self) -> Any:
        body: BinaryIO = self.content
        self.inbox = RequestInbox(body)
        self.content = UnreadBody(body)
        self.registerProducer(self.gate, True)
        return super().process()

    @override
    def finish(self) -> None:
        if self.producer is not None:
            self.unregisterProducer()
        self.gate.resumeProducing()
        super().finish()

    @override
    def connectionLost(self, reason: Any) -> None:
        self.gate.stopProducing()
        super().connectionLost(reason)

    @override
    def handle_exception(self, exception: BaseException) -> None:
        # Half a body cannot become an error page; a cut connection is how the client sees it.
        if self._response_started and not self.finished and self.channel is not None:
            self.channel.transport.abortConnection()
        else:
            super().handle_exception(exception)


class PacedWebSocket(WebSocketProtocol):  # type: ignore[misc]  # Daphne has no types
    """A websocket whose frames wait for their client, while what the client sends is still read."""

    denial = b""
    """Headers and body of the answer to a handshake that was not accepted."""
    denied_as: Message | None = None

    @override
    def connectionMade(self) -> None:
        self.gate = SocketGate(self.transport)
        self.inbox = SocketInbox(self.transport)
        # Until now the HTTP channel of the upgrade request is the transport's producer.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self.gate, True)
        super().connectionMade()

    def deny(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer the handshake as an ordinary request, without an upgrade."""
        length = (b"content-length", str(len(body)).encode())
        lines = [
            b"%s: %s\r\n" % header for header in (*headers, length, (b"connection", b"close"))
        ]
        self.denial = b"".join(lines) + b"\r\n" + body
        reason = HTTPStatus(status).phrase
        refusal = ConnectionDeny(code=status, reason=reason)  # type: ignore[no-untyped-call]
        self.handshake_deferred.errback(refusal)
        del self.handshake_deferred
        self.server.protocol_disconnected(self)

    @override
    def sendHttpErrorResponse(
        self, code: int, reason: str, responseHeaders: object = None
    ) -> None:
        if self.denial:
            self.sendData(f"HTTP/1.1 {code} {reason}\r\n".encode() + self.denial)
        else:
            super().sendHttpErrorResponse(code, reason, responseHeaders)

    @override
    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.gate.stopProducing()
        # A handshake that failed early never reached the server's table of connections.
        if hasattr(self, "server"):
            super().onClose(wasClean, code, reason)


class SocketGate(Gate):
    """A gate that lets its transport close: Twisted waits for producers that it has paused."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport

    @override
    def resumeProducing(self) -> None:
        if self._transport.disconnecting:
            self._transport.unregisterProducer()
        super().resumeProducing()


class PacedHTTPFactory(HTTPFactory):  # type: ignore[misc]  # Daphne has no types
    @override
    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = PacedRequest
        return protocol


class PacedWebSocketFactory(WebSocketFactory):  # type: ignore[misc]  # Daphne has no types
    protocol = PacedWebSocket


def _log_twisted_errors() -> None:
    """What goes wrong in Twisted goes to our log; its chatter goes nowhere."""
    # zope.interface has no types, so mypy cannot see what these classes implement.
    observer: Any = STDLibLogObserver(__name__)
    errors: Any = LogLevelFilterPredicate(defaultLogLevel=LogLevel.error)
    filtered: Any = FilteringLogObserver(observer, [errors])
    globalLogBeginner.beginLoggingTo([filtered], redirectStandardIO=False, discardBuffer=True)


class PacedServer(Server):  # type: ignore[misc]  # Daphne has no types
    """Daphne whose applications wait for their clients, run by a coroutine of the caller.

    Raises: OSError from `listen` when the address cannot be used.
    """

    def __init__(self, application: ProtocolTypeRouter | Any, *, body_limits: BodyLimits) -> None:
        super().__init__(
            application,
            endpoints=["listen() opens the port"],
            http_timeout=None,
            # A terminal may be watched for days.
            websocket_timeout=-1,
            ping_interval=20,
            ping_timeout=30,
            # A thousand pages that come back at once, after a restart, each look at the database
            # first; those cut after Daphne's 5 s came again, and again.
            websocket_handshake_timeout=30,
            websocket_max_message_size=MAX_FRAME_BYTES,
            websocket_max_frame_size=MAX_FRAME_BYTES,
            application_close_timeout=5,
            server_name="berth",
        )
        self.body_limits = body_limits
        self.connections: dict[Any, dict[str, Any]] = {}
        self._port: Any = None

    def listen(self, host: str, port: int) -> int:
        """Bind and accept; returns the port, which the system picks for 0. Raises: OSError."""
        _log_twisted_errors()
        self.http_factory = PacedHTTPFactory(self)
        self.ws_factory = PacedWebSocketFactory(self, server=self.server_name)
        self.ws_factory.setProtocolOptions(
            autoPingTimeout=self.ping_timeout,
            allowNullOrigin=True,
            openHandshakeTimeout=self.websocket_handshake_timeout,
            maxMessagePayloadSize=self.websocket_max_message_size,
            maxFramePayloadSize=self.websocket_max_frame_size,
        )
        try:
            self._port = reactor.listenTCP(port, self.http_factory, backlog=512, interface=host)
        except CannotListenError as error:
            reason = error.socketError
            raise reason if isinstance(reason, OSError) else OSError(str(reason)) from error
        reactor.callLater(1, self.application_checker)
        reactor.callLater(2, self.timeout_checker)
        return int(self._port.getHost().port)

    @override
    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Serve until `main` ends; what it raises is raised here."""
        loop: asyncio.AbstractEventLoop = reactor._asyncioEventloop
        asyncio.set_event_loop(loop)
        task = loop.create_task(main)
        task.add_done_callback(lambda _: reactor.stop())
        reactor.run(installSignalHandlers=False)
        task.result()

    async def aclose(self, *, grace_s: float) -> None:
        """Accept no more, tell websockets to come back later, let responses end, then cut them."""
        if self._port is not None:
            await asyncio.wait_for(
                self._port.stopListening().asFuture(asyncio.get_running_loop()), grace_s
            )
        for protocol in list(self.connections):
            if isinstance(protocol, PacedWebSocket) and protocol.state == protocol.STATE_OPEN:
                protocol.serverClose(code=CLOSE_RESTARTING)
        running = self._running_applications()
        if running:
            _, late = await asyncio.wait(running, timeout=grace_s)
            for application in late:
                application.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _running_applications(self) -> list[asyncio.Future[None]]:
        found = (details.get("application_instance") for details in self.connections.values())
        return [application for application in found if application and not application.done()]

    @override
    def create_application(
        self, protocol: PacedRequest | PacedWebSocket, scope: dict[str, Any]
    ) -> RequestInbox | SocketInbox | None:
        details = self.connections.get(protocol)
        if details is None:
            return None
        inbox: RequestInbox | SocketInbox = protocol.inbox
        scope.setdefault("asgi", {"version": "3.0"})
        if scope["type"] == "websocket":
            scope["extensions"] = {"websocket.http.response": {}}
        application = self.application(
            scope=scope, receive=inbox.get, send=partial(self.handle_reply, protocol)
        )
        details["application_instance"] = asyncio.ensure_future(application)
        return inbox

    @override
    async def handle_reply(
        self, protocol: PacedRequest | PacedWebSocket, message: Message
    ) -> None:
        if message["type"].startswith("websocket.http.response."):
            self._deny(protocol, message)
            return
        await super().handle_reply(protocol, message)
        # Open after the last message of a response, and once the client is gone.
        await protocol.gate.wait()

    def _deny(self, protocol: PacedWebSocket, message: Message) -> None:
        """ASGI's `websocket.http.response`; its body comes in one piece."""
        details = self.connections.get(protocol)
        if details is None or details.get("disconnected"):
            return
        if message["type"].endswith(".start"):
            protocol.denied_as = message
        elif protocol.denied_as is not None:
            told = protocol.denied_as
            protocol.deny(told["status"], told.get("headers", ()), message.get("body", b""))

    @override
    def protocol_connected(self, protocol: PacedRequest | PacedWebSocket) -> None:
        self.connections[protocol] = {"connected": time.time()}
