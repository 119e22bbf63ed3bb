"""What the database says, read without the product: the judge shares no code with the judged."""

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUSY_S = 30.0


@dataclass(frozen=True, slots=True)
class Event:
    seq: int
    kind: str
    payload: dict[str, Any]
    data: bytes


@dataclass(slots=True)
class Call:
    """A call as its events tell."""

    call_id: str
    tool_call_id: str
    command: str
    began: int = 0
    endings: list[dict[str, Any]] = field(default_factory=list)
    pieces: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)

    @property
    def ending(self) -> str:
        return ", ".join(ending["kind"] for ending in self.endings) or "running"


@dataclass(slots=True)
class History:
    """A session's whole log, by what there is to check."""

    seqs: list[int] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    turn_ends: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    """Reason and message of each."""
    turn_starts: list[int] = field(default_factory=list)
    messages: dict[int, str] = field(default_factory=dict)
    containers: list[tuple[str, str]] = field(default_factory=list)
    """Each state of a container with its reason: to find out why one went."""
    told: dict[str, list[str]] = field(default_factory=dict)
    """By `tool_call_id`: how the model was told that each command ended."""

    def add(self, event: Event) -> None:
        self.seqs.append(event.seq)
        payload = event.payload
        match event.kind:
            case "turn.queued":
                self.messages[payload["turn"]] = payload["text"]
            case "turn.started":
                self.turn_starts.append(payload["turn"])
            case "turn.ended":
                end = (payload["reason"], payload["message"])
                self.turn_ends.setdefault(payload["turn"], []).append(end)
            case "call.started":
                call = Call(payload["call_id"], payload["tool_call_id"], payload["command"])
                self.calls.setdefault(payload["call_id"], call).began += 1
            case "output":
                pieces = self.calls[payload["call_id"]].pieces
                piece = (payload["offset"], event.data)
                pieces.setdefault(payload["stream"], []).append(piece)
            case "call.ended":
                self.calls[payload["call_id"]].endings.append(payload["ending"])
            case "container.state":
                self.containers.append((payload["state"], payload["reason"]))
            case "tool.result":
                kinds = [c["ending"]["kind"] for c in payload["item"].get("commands") or ()]
                self.told[payload["tool_call_id"]] = kinds


class Database:
    """Every method opens the file anew, as processes that write it come and go."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        address = f"file:{self._path}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_S)) as connection:
            return connection.execute(sql, values).fetchall()

    def events(self, session_id: uuid.UUID) -> Iterator[Event]:
        rows = self._rows(
            "SELECT seq, type, payload, data FROM agent_sessions_event "
            "WHERE session_id = ? ORDER BY seq",
            session_id.hex,
        )
        for seq, kind, payload, data in rows:
            yield Event(seq, kind, json.loads(payload), bytes(data))

    def history(self, session_id: uuid.UUID) -> History:
        history = History()
        for event in self.events(session_id):
            history.add(event)
        return history

    def last_seq(self, session_id: uuid.UUID) -> int:
        rows = self._rows(
            "SELECT last_seq FROM agent_sessions_session WHERE id = ?", session_id.hex
        )
        return int(rows[0][0])

    def container_id(self, session_id: uuid.UUID) -> str:
        rows = self._rows(
            "SELECT container_id FROM agent_sessions_session WHERE id = ?", session_id.hex
        )
        return str(rows[0][0]) if rows else ""

    def volume(self, session_id: uuid.UUID) -> str:
        rows = self._rows(
            "SELECT workspace_volume FROM agent_sessions_session WHERE id = ?", session_id.hex
        )
        return str(rows[0][0]) if rows else ""

    def pool(self) -> tuple[set[str], set[str]]:
        """Names of the containers that wait for a session, and of their volumes."""
        rows = self._rows("SELECT name, workspace_volume FROM agent_sessions_pooledcontainer")
        return {row[0] for row in rows}, {row[1] for row in rows}

    def is_archived(self, session_id: uuid.UUID) -> bool:
        """Its files are in an archive, and nowhere else."""
        return bool(
            self._rows(
                "SELECT 1 FROM agent_sessions_session WHERE id = ? AND container_id = '' "
                "AND workspace_volume = '' AND archived_at IS NOT NULL",
                session_id.hex,
            )
        )

    def let_rest(self, session_id: uuid.UUID) -> None:
        """As if nobody had used it for an hour: with the next, the one thing written here."""
        self._last_active(session_id, "-1 hour")

    def let_lie(self, session_id: uuid.UUID) -> None:
        """As if nobody had come back to it for longer than its files are kept as they are."""
        self._last_active(session_id, "-100 days")

    def _last_active(self, session_id: uuid.UUID, ago: str) -> None:
        with closing(sqlite3.connect(self._path, timeout=BUSY_S)) as connection, connection:
            connection.execute(
                "UPDATE agent_sessions_session SET last_active_at = "
                "datetime('now', ?) WHERE id = ?",
                (ago, session_id.hex),
            )

    def sessions(self) -> list[uuid.UUID]:
        return [uuid.UUID(row[0]) for row in self._rows("SELECT id FROM agent_sessions_session")]

    def open_turns(self, session_id: uuid.UUID) -> int:
        """Queued and running ones."""
        rows = self._rows(
            "SELECT count(*) FROM agent_sessions_turn WHERE session_id = ? AND status != 'ended'",
            session_id.hex,
        )
        return int(rows[0][0])

    def has_turn(self, session_id: uuid.UUID, text: str) -> bool:
        return bool(
            self._rows(
                "SELECT 1 FROM agent_sessions_turn WHERE session_id = ? AND text = ?",
                session_id.hex,
                text,
            )
        )

    def running_calls(self, session_id: uuid.UUID) -> int:
        rows = self._rows(
            "SELECT sum(type = 'call.started') - sum(type = 'call.ended') "
            "FROM agent_sessions_event WHERE session_id = ? "
            "AND type IN ('call.started', 'call.ended')",
            session_id.hex,
        )
        return int(rows[0][0] or 0)
