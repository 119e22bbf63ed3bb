"""One soak: many sessions print, many more viewers watch, for minutes."""

import dataclasses
import json
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.engine import Engine
from tests.chaos.installation import Installation
from tests.chaos.records import Database
from tests.serve.berth_client import BerthClient
from tests.serve.server_process import ROOT
from tests.soak.memory import Sampler, Samples
from tests.soak.viewers import Assignment, Seen, percentile

BATCH = 10
START_TIMEOUT_S = 300.0
GRACE_S = 120.0
LINE_EVERY_S = 3
WARM_UP_SHARE = 0.2
LIMITS = {"memory_mb": "64", "cpus": "0.5", "pids": "64", "session_hours": "2"}


@dataclass(frozen=True, slots=True)
class Plan:
    sessions: int = 200
    viewers: int = 1000
    minutes: float = 10.0
    processes: int = 2
    """Of viewers."""


@dataclass(frozen=True, slots=True)
class Figures:
    sessions: int
    viewers: int
    minutes: float
    events_delivered: int
    events_lost: int
    events_doubled: int
    lines_timed: int
    latency_ms: dict[str, float]
    """From printing a line to having it: p50, p99 and max."""
    reconnects: int
    memory_mb: dict[str, float]
    """Of the server's processes by PSS after warm-up: first, last and slope per hour."""
    server_cpu_share: float
    """Of one core."""
    turns_completed: int

    @property
    def is_good(self) -> bool:
        lost_or_doubled = self.events_lost or self.events_doubled
        return not lost_or_doubled and self.turns_completed == self.sessions


def script(minutes: float, rng: random.Random, began_at: float) -> str:
    """A numbered line with its time every few seconds, until the same moment for all."""
    ends_at = int(began_at + minutes * 60)
    return (
        f"```bash\nsleep {rng.uniform(0, LINE_EVERY_S):.2f}; i=0\n"
        f"while [ ${{EPOCHREALTIME%.*}} -lt {ends_at} ]; do\n"
        f'  i=$((i+1)); echo "$i $EPOCHREALTIME"; sleep {LINE_EVERY_S}\ndone\n```'
    )


class Soak:
    def __init__(
        self, plan: Plan, engine: Engine, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._say = say
        self.installation = Installation(
            folder,
            f"soak-{uuid.uuid4().hex[:8]}",
            engine.address,
            max_running_turns=plan.sessions,
        )
        self._database = Database(self.installation.database)

    def run(self) -> Figures:
        """Raises: AssertionError when it could not be brought up."""
        self.installation.migrate()
        self.installation.start("one process")
        client = BerthClient(self.installation.server.url, self.installation.server.link)
        ids = self._start_sessions(client)
        viewers = self._start_viewers(client, ids)
        sampler = Sampler(self.installation.server.process)
        sampler.start()
        began_at = time.monotonic()
        try:
            seen = [self._seen_by(process) for process in viewers]
        finally:
            for process in viewers:
                process.kill()
        samples = sampler.stop()
        warm = samples.since(began_at + WARM_UP_SHARE * self._plan.minutes * 60)
        return self._figures(ids, seen, warm)

    def _start_sessions(self, client: BerthClient) -> list[uuid.UUID]:
        """In batches; they all print until the plan's minutes after the last has begun, about."""
        rng = random.Random(0)
        ids: list[uuid.UUID] = []
        # Bringing up takes time of its own; measured by the first batch.
        started_at = time.time()
        expected_s = 0.0
        while len(ids) < self._plan.sessions:
            began_at = started_at + max(expected_s, time.time() - started_at)
            size = min(BATCH, self._plan.sessions - len(ids))
            batch = [
                client.create_session(
                    script(self._plan.minutes, rng, began_at),
                    command_timeout_s=str(int(expected_s + self._plan.minutes * 60 + 600)),
                    **LIMITS,
                )
                for _ in range(size)
            ]
            self._wait_until_printing(batch)
            ids += batch
            if not expected_s:
                expected_s = (time.time() - started_at) * self._plan.sessions / size
            self._say(f"{len(ids)} of {self._plan.sessions} sessions run")
        return ids

    def _wait_until_printing(self, ids: Sequence[uuid.UUID]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while any(self._database.running_calls(one) < 1 for one in ids):
            if time.monotonic() > deadline:
                raise AssertionError("the sessions did not start")
            time.sleep(0.5)

    def _start_viewers(
        self, client: BerthClient, ids: Sequence[uuid.UUID]
    ) -> list[subprocess.Popen[str]]:
        processes = []
        for number in range(self._plan.processes):
            mine = ids[number :: self._plan.processes]
            assignment = Assignment(
                url=client.url.replace("http", "ws", 1),
                cookies=client.cookies,
                origin=client.url,
                session_ids=[str(one) for one in mine],
                viewers_per_session=self._plan.viewers // self._plan.sessions,
                timeout_s=self._plan.minutes * 60 + GRACE_S,
            )
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.viewers"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdin is not None
            process.stdin.write(json.dumps(dataclasses.asdict(assignment)) + "\n")
            process.stdin.flush()
            processes.append(process)
        self._say(f"{self._plan.viewers} viewers follow for {self._plan.minutes:g} minutes")
        return processes

    def _seen_by(self, process: subprocess.Popen[str]) -> Seen:
        output, _ = process.communicate(timeout=self._plan.minutes * 60 + 2 * GRACE_S)
        if process.returncode:
            raise AssertionError("a process of viewers failed")
        return Seen(**json.loads(output))

    def _figures(self, ids: Sequence[uuid.UUID], seen: list[Seen], warm: Samples) -> Figures:
        latencies = sorted(ms for one in seen for ms in one.latencies_ms)
        unseen = ends = 0
        for session_id in ids:
            history = self._database.history(session_id)
            ends += [reason for reason, _ in history.turn_ends.get(1, [])] == ["completed"]
            last = self._ended_at(session_id)
            for one in seen:
                seqs = one.last_seqs.get(str(session_id), [])
                unseen += sum(max(0, last - seq) for seq in seqs)
        return Figures(
            sessions=self._plan.sessions,
            viewers=sum(one.viewers for one in seen),
            minutes=self._plan.minutes,
            events_delivered=sum(one.events for one in seen),
            events_lost=sum(one.lost for one in seen) + unseen,
            events_doubled=sum(one.doubled for one in seen),
            lines_timed=len(latencies),
            latency_ms={
                "p50": round(percentile(latencies, 0.5), 1),
                "p99": round(percentile(latencies, 0.99), 1),
                "max": round(latencies[-1], 1) if latencies else 0.0,
            },
            reconnects=sum(one.reconnects for one in seen),
            memory_mb=_memory(warm),
            server_cpu_share=round(warm.cpu_share, 3),
            turns_completed=ends,
        )

    def _ended_at(self, session_id: uuid.UUID) -> int:
        """The number of the turn's end: viewers leave with it."""
        numbers = [
            one.seq for one in self._database.events(session_id) if one.kind == "turn.ended"
        ]
        return numbers[0] if numbers else self._database.last_seq(session_id)


def _memory(warm: Samples) -> dict[str, Any]:
    return {
        "first": round(warm.megabytes[0], 1) if warm.megabytes else None,
        "last": round(warm.megabytes[-1], 1) if warm.megabytes else None,
        "slope_per_hour": round(warm.slope_mb_per_hour, 1),
    }
