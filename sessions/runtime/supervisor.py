"""Claims queued turns and runs them; passes Stop on; takes over what a dead process left.

A turn belongs to whoever holds its session's lease. Leases are renewed while a turn runs; one
that has run out, or whose process on this host is gone, is free to take.
"""

import asyncio
import datetime as dt
import logging
import time
import uuid
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from sessions import services
from sessions.agent.limits import TurnStopped
from sessions.errors import LeaseLostError, ProviderError
from sessions.events import bus, log
from sessions.events.types import SessionStatus, TurnEnded
from sessions.models import Session, Turn, TurnStatus
from sessions.models import SessionStatus as Status
from sessions.runtime.indexing import Indexer
from sessions.runtime.leases import is_holder_dead, lease_name
from sessions.runtime.plan import model_of
from sessions.runtime.process import Runtime
from sessions.runtime.reaper import Reaper
from sessions.runtime.runner import Runner

logger = logging.getLogger(__name__)

LEASE_S = 30.0
RENEW_S = 10.0
POLL_S = 1.0
MAX_BACKOFF_S = 10.0
FIRST_RETRY_S = 0.5
MAX_FAULTS = 6
RESTARTED = "Berth was restarted."
FAILED_HERE = "Something in Berth failed and is tried again."


@dataclass(frozen=True, slots=True)
class _Fault:
    """How often a session's runner failed in a row, and when (monotonic) to try again."""

    count: int
    again_at: float


class Supervisor:
    """`run` works until it is cancelled; `aclose` lets go of everything, turns unfinished."""

    def __init__(self, runtime: Runtime, *, max_running_turns: int) -> None:
        self._runtime = runtime
        self._max_running_turns = max_running_turns
        self._lease = lease_name()
        self._runners: dict[uuid.UUID, tuple[Runner, asyncio.Task[None]]] = {}
        self._renewed_at = 0.0
        self._faults: dict[uuid.UUID, _Fault] = {}
        self.reaper = Reaper(
            runtime.sandboxes, shells=runtime.shells, retention=runtime.config.retention
        )

    async def run(self) -> None:
        """Never raises but for cancellation: a failing pass is logged and tried again later."""
        beside = [
            asyncio.create_task(self.reaper.run(), name="reaper"),
            asyncio.create_task(self._runtime.sandboxes.pool.run(), name="pool"),
            asyncio.create_task(Indexer().run(), name="indexer"),
        ]
        wait_s = POLL_S
        try:
            async with bus.listen(bus.SUPERVISOR_TOPIC) as waiter:
                while True:
                    try:
                        await self._pass()
                        self._runtime.supervisor_seen()
                        wait_s = POLL_S
                    except Exception:
                        logger.exception("the supervisor's pass failed")
                        wait_s = min(wait_s * 2, MAX_BACKOFF_S)
                    await waiter.wait(wait_s)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self.aclose()

    async def aclose(self) -> None:
        """Cancel the runners and give their leases back, so that the next process goes on."""
        tasks = [task for _, task in self._runners.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._runners.clear()
        await Session.objects.filter(lease_owner=self._lease).aupdate(
            lease_owner="", lease_until=None
        )

    async def _pass(self) -> None:
        self._forget_ended()
        await self._renew()
        await self._pass_on_stops()
        await self._take_over()
        await self._claim()

    def _forget_ended(self) -> None:
        for session_id, (_, task) in list(self._runners.items()):
            if not task.done():
                continue
            del self._runners[session_id]
            error = None if task.cancelled() else task.exception()
            if isinstance(error, LeaseLostError):
                logger.warning("session %s: %s", session_id, error.message)
            elif error is not None:
                logger.error("session %s: its runner failed", session_id, exc_info=error)
                self._failed(session_id)
            else:
                self._faults.pop(session_id, None)

    def _failed(self, session_id: uuid.UUID) -> None:
        """A turn that cannot be carried on is tried again, later each time."""
        count = self._faults[session_id].count + 1 if session_id in self._faults else 1
        again_at = time.monotonic() + FIRST_RETRY_S * 2**count
        self._faults[session_id] = _Fault(count, again_at)

    async def _renew(self) -> None:
        if time.monotonic() - self._renewed_at < RENEW_S:
            return
        self._renewed_at = time.monotonic()
        await Session.objects.filter(lease_owner=self._lease).aupdate(
            lease_until=timezone.now() + dt.timedelta(seconds=LEASE_S)
        )

    async def _pass_on_stops(self) -> None:
        if not self._runners:
            return
        asked = Turn.objects.filter(
            session__in=list(self._runners),
            status=TurnStatus.RUNNING,
            stop_requested_at__isnull=False,
        ).values_list("session_id", flat=True)
        async for session_id in asked:
            self._runners[session_id][0].stop.set(TurnStopped())

    async def _take_over(self) -> None:
        """Turns that are running in the database but in no process any more."""
        turns = (
            Turn.objects.filter(status=TurnStatus.RUNNING)
            .exclude(session__in=list(self._runners))
            .select_related("session", "session__owner")
        )
        async for turn in turns:
            holder = turn.session.lease_owner
            fault = self._faults.get(turn.session_id)
            if fault is not None and time.monotonic() < fault.again_at:
                continue
            if await self._take_lease(turn.session, dead_holder=holder):
                await self._carry_on(turn)

    async def _carry_on(self, turn: Turn) -> None:
        """Whoever ran it may have ended it, and let go of its lease, after `turn` was read; from
        now on nobody else can."""
        if await Turn.objects.filter(id=turn.id, status=TurnStatus.RUNNING).aexists():
            logger.info("session %s: turn %s goes on here", turn.session_id, turn.number)
            failed = turn.session_id in self._faults
            await self._try_start(turn, FAILED_HERE if failed else RESTARTED)
        else:
            await self._release(turn.session)

    async def _claim(self) -> None:
        free = self._max_running_turns - len(self._runners)
        if free <= 0:
            return
        queued = (
            Turn.objects.filter(status=TurnStatus.QUEUED, session__deletion_requested_at=None)
            .exclude(session__in=list(self._runners))
            .exclude(session__turns__status=TurnStatus.RUNNING)
            .select_related("session", "session__owner")
            .order_by("created_at", "id")
        )
        # A session is tried once: its lease may come free between two of its turns, and the later
        # one must not go first.
        tried: set[uuid.UUID] = set()
        claimed = 0
        async for turn in queued[: free * 4]:
            if claimed >= free:
                return
            if turn.session_id in tried:
                continue
            tried.add(turn.session_id)
            holder = turn.session.lease_owner
            if not await self._take_lease(turn.session, dead_holder=holder):
                continue
            claimed += 1
            if await _mark_running(turn):
                await self._try_start(turn)
            else:
                await self._release(turn.session)

    async def _take_lease(self, session: Session, *, dead_holder: str = "") -> bool:
        now = timezone.now()
        free = Q(lease_owner="") | Q(lease_until__lt=now) | Q(lease_owner=self._lease)
        if dead_holder and await is_holder_dead(dead_holder):
            free |= Q(lease_owner=dead_holder)
        taken = await Session.objects.filter(free, id=session.id).aupdate(
            lease_owner=self._lease, lease_until=now + dt.timedelta(seconds=LEASE_S)
        )
        return bool(taken)

    async def _release(self, session: Session) -> None:
        await Session.objects.filter(id=session.id, lease_owner=self._lease).aupdate(
            lease_owner="", lease_until=None
        )

    async def _try_start(self, turn: Turn, resumed_as: str = "") -> None:
        """A turn that cannot be started keeps no other from being started."""
        fault = self._faults.get(turn.session_id)
        try:
            if fault is not None and fault.count >= MAX_FAULTS:
                del self._faults[turn.session_id]
                given_up = ProviderError(
                    "The turn failed again and again and was given up.",
                    hint="The server's log has the details; sending the message again may work.",
                )
                await self._refuse(turn.session, turn, given_up)
            else:
                await self._start(turn.session, turn, resumed_as)
        except Exception:
            logger.exception("session %s: turn %s did not start", turn.session_id, turn.number)
            self._failed(turn.session_id)

    async def _start(self, session: Session, turn: Turn, resumed_as: str) -> None:
        if session.is_chat:
            # Such turns are worked on by whoever the program is connected to, and nobody else.
            gone = ProviderError(
                "The connection to the program was lost with the process that served it.",
                hint="The program has to ask again.",
            )
            await self._refuse(session, turn, gone)
            await services.chat_abandon(turn_id=turn.id)
            return
        try:
            provider = self._runtime.provider(*await model_of(session, turn))
        except ProviderError as error:
            await self._refuse(session, turn, error)
            return
        runner = Runner(
            session=session,
            turn=turn,
            lease=self._lease,
            provider=provider,
            sandboxes=self._runtime.sandboxes,
            setups=self._runtime.setups,
        )
        if turn.stop_requested_at is not None:
            runner.stop.set(TurnStopped())
        task = asyncio.create_task(runner.run(resumed_as=resumed_as))
        self._runners[session.id] = (runner, task)

    async def _refuse(self, session: Session, turn: Turn, error: ProviderError) -> None:
        """End a turn whose model this installation no longer has."""
        end = TurnEnded(turn=turn.number, reason="failed", message=error.message, hint=error.hint)
        await log.append(session.id, [end, SessionStatus(Status.FAILED)], lease=self._lease)
        await Turn.objects.filter(id=turn.id, status=TurnStatus.RUNNING).aupdate(
            status=TurnStatus.ENDED, end_reason="failed", ended_at=timezone.now()
        )
        await Session.objects.filter(id=session.id).aupdate(status=Status.FAILED)
        await self._release(session)
        await bus.notify(bus.session_topic(session.id))


async def _mark_running(turn: Turn) -> bool:
    turn.started_at = timezone.now()
    return bool(
        await Turn.objects.filter(id=turn.id, status=TurnStatus.QUEUED).aupdate(
            status=TurnStatus.RUNNING, started_at=turn.started_at
        )
    )
