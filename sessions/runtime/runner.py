"""Carry one claimed turn to its end and leave the session ready for the next."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from channels.db import database_sync_to_async
from django.db import DatabaseError, transaction
from django.utils import timezone

from sessions import services
from sessions.agent.limits import TimeLimitReached, TurnEnd
from sessions.agent.loop import run_turn
from sessions.agent.stop import StopSignal
from sessions.agent.tools.base import Connected, RecordedCall, ToolContext
from sessions.errors import (
    BerthError,
    EngineUnavailableError,
    LeaseLostError,
    NotFoundError,
    ProviderError,
    SandboxUnavailableError,
)
from sessions.events import bus, log
from sessions.events.types import (
    ContextCompacted,
    Notice,
    SessionStatus,
    StepEnded,
    TurnEnded,
    TurnEndReason,
    TurnStarted,
)
from sessions.models import ContainerState, Session, Turn, TurnStatus, Upload
from sessions.models import SessionStatus as Status
from sessions.providers.base import Provider
from sessions.responses.settle import settle_turn
from sessions.runtime.citations import files_to_cite
from sessions.runtime.conversation import recorded_calls
from sessions.runtime.delivery import deliver
from sessions.runtime.plan import TurnPlan, plan_turn
from sessions.runtime.recorder import SessionRecorder
from sessions.runtime.resources import ResourceWatch
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.setups import Setups
from sessions.runtime.skills import bring_skills
from sessions.sandbox.base import Sandbox
from sessions.sandbox.limits import Limits
from sessions.sandbox.setup import Setup

logger = logging.getLogger(__name__)

ENGINE_WAIT_S = 2.0
CONNECT_TRIES = 4
_COST = (StepEnded.type, ContextCompacted.type)
"""Events that tell of tokens."""
STATUS_AFTER: dict[TurnEndReason, Status] = {"stopped": Status.STOPPED, "failed": Status.FAILED}


class Runner:
    """One turn of one session. `run` returns when it has ended and is recorded."""

    def __init__(
        self,
        *,
        session: Session,
        turn: Turn,
        lease: str,
        provider: Provider,
        sandboxes: Sandboxes,
        setups: Setups,
    ) -> None:
        self.session = session
        self.turn = turn
        self.stop = StopSignal()
        self._lease = lease
        self._provider = provider
        self._sandboxes = sandboxes
        self._setups = setups
        self._limits = Limits.from_json(session.limits)
        self._delivery = asyncio.Lock()
        self._has_skills = ""
        """The container that was last seen to have them."""
        self._is_told_of_wait = False
        """Once for all commands that wait for the engine at the same time."""

    async def run(self, *, resumed_as: str = "") -> None:
        """`resumed_as` says why a turn that had begun is taken up again, in a sentence.

        Raises: LeaseLostError when another runner took the session over. Cancelling leaves the
        turn running in the database, for whoever claims it next."""
        recorder = SessionRecorder(self.session, self._lease)
        try:
            await self._announce(recorder, resumed_as)
            await self._sandboxes.drop_stale(self.session)
            resources = ResourceWatch(
                session=self.session,
                limits=self._limits,
                sandboxes=self._sandboxes,
                recorder=recorder,
            )
            watches = [asyncio.create_task(w) for w in (self._watch_time(), resources.run())]
            try:
                end = await self._work(recorder, is_resumed=bool(resumed_as))
            finally:
                for watch in watches:
                    watch.cancel()
                await asyncio.gather(*watches, return_exceptions=True)
            await resources.finish()
            await recorder.flush()
            await self._finish(end)
            await settle_turn(self.turn.id)
        finally:
            await _close(recorder)

    async def _announce(self, recorder: SessionRecorder, resumed_as: str) -> None:
        held = Session.objects.filter(id=self.session.id, lease_owner=self._lease)
        await held.aupdate(status=Status.RUNNING)
        # A process that died right after it claimed the turn did not get to say that it began, and
        # the log would lack the message that it is about.
        if resumed_as and await self._has_begun():
            await recorder.record(Notice("info", f"{resumed_as} The turn goes on where it was."))
        else:
            await recorder.record(
                TurnStarted(self.turn.number, self._provider.kind, self._provider.model)
            )
        await recorder.record(SessionStatus(Status.RUNNING))
        # The conversation is read from the log next, and must hold this turn's message.
        await recorder.flush()

    async def _has_begun(self) -> bool:
        after = 0
        while batch := await log.read(self.session.id, after=after, types=("turn.started",)):
            after = batch[-1].seq
            for event in batch:
                if isinstance(event.body, TurnStarted) and event.body.turn == self.turn.number:
                    return True
        return False

    async def _work(self, recorder: SessionRecorder, *, is_resumed: bool) -> TurnEnded:
        reason: TurnEndReason = "completed"
        message = hint = ""
        recorded = await recorded_calls(self.session.id) if is_resumed else {}
        try:
            plan = await plan_turn(self.session, self.turn, self._provider)
            await self._run_agent(recorder, plan, recorded)
        except TurnEnd as end:
            reason, message = end.reason, end.message
        except LeaseLostError:
            raise
        except NotFoundError:
            reason = "stopped"  # the session was deleted before its container was made
        except ProviderError as error:
            reason, message, hint = "failed", error.message, error.hint
        except BerthError as error:
            reason, message = "failed", error.message
        except Exception:
            logger.exception("session %s: turn %s failed", self.session.id, self.turn.number)
            reason, message = "failed", "Something in Berth itself went wrong."
            hint = "The server's log has the details; sending the message again may work."
        # The steps' tokens are in the log; the turn's end repeats the sum.
        used = await self._tokens(recorder)
        return TurnEnded(
            turn=self.turn.number,
            reason=reason,
            message=message,
            hint=hint,
            duration_ms=self._duration_ms(),
            input_tokens=used[0],
            output_tokens=used[1],
        )

    def _duration_ms(self) -> int:
        """Since the turn began, which may have been in an earlier process."""
        assert self.turn.started_at is not None
        return max(0, int((timezone.now() - self.turn.started_at).total_seconds() * 1000))

    async def _run_agent(
        self, recorder: SessionRecorder, plan: TurnPlan, recorded: dict[str, RecordedCall]
    ) -> None:
        context = ToolContext(
            recorder=recorder,
            connect=self._connect,
            reconnect=lambda container_id: self._sandboxes.reconnect(self.session, container_id),
            discard=self._discard,
            find_shell=lambda: self._sandboxes.shell(self.session),
            limits=self._limits,
            stop=self.stop,
            setup=Setup.from_json(self.session.setup),
            recorded=recorded,
            find_files=self._files_to_cite if plan.cites_files else None,
        )
        async with self._warm(is_needed=plan.needs_container):
            await run_turn(
                provider=self._provider,
                tools=plan.tools,
                context=context,
                instructions=plan.instructions,
                state=plan.state,
                limits=plan.limits,
                callers_tools=plan.callers_tools,
                options=plan.options,
                compacting=plan.compacting,
            )

    @asynccontextmanager
    async def _warm(self, *, is_needed: bool) -> AsyncIterator[None]:
        """The container starts while the model thinks; who needs it waits for the same start."""
        warming = asyncio.create_task(self._sandboxes.connect(self.session)) if is_needed else None
        try:
            yield
        finally:
            if warming is not None:
                warming.cancel()
                await asyncio.gather(warming, return_exceptions=True)

    async def _sandbox(self) -> Sandbox:
        """Waits for an engine that is away, and says so; what else goes wrong on the way is tried
        again a few times. Raises: the TurnEnd of a Stop; as Sandboxes.connect."""
        tries = 0
        while True:
            try:
                sandbox = await self._sandboxes.connect(self.session)
            except EngineUnavailableError as error:
                if not self._is_told_of_wait:
                    self._is_told_of_wait = True
                    text = f"{error.message} The turn goes on when it is back."
                    await log.append(self.session.id, [Notice("warning", text, error.code)])
                    await bus.notify(bus.session_topic(self.session.id))
            except SandboxUnavailableError as error:
                tries += 1
                if tries >= CONNECT_TRIES:
                    raise
                logger.warning("session %s: %s; connecting again", self.session.id, error)
            else:
                self._is_told_of_wait = False
                return sandbox
            await self.stop.wait_for(ENGINE_WAIT_S)
            self.stop.check()

    async def _discard(self, reason: str) -> None:
        await self._sandboxes.discard(self.session, ContainerState.DISCONNECTED, reason)

    async def _connect(self) -> Connected:
        """The session's sandbox, set up, with every file in it that came with a message up to this one,
        and the skills that this turn added."""
        sandbox = await self._sandbox()
        container_id = self._sandboxes.container_id(self.session)
        async with self._delivery:
            if container_id != self._has_skills:
                await bring_skills(self.session.id, container_id, sandbox)
                self._has_skills = container_id
            uploads = Upload.objects.filter(
                turn__session=self.session,
                turn__number__lte=self.turn.number,
                delivered_at=None,
            )
            async for upload in uploads.order_by("id"):
                await deliver(sandbox, self.session.id, upload)
        await self._setups.ensure(self.session, self.stop)
        return Connected(sandbox, container_id)

    async def _files_to_cite(self, paths: Collection[str]) -> Mapping[str, dict[str, Any]]:
        sandbox = await self._sandboxes.connect(self.session)
        return await files_to_cite(self.session, sandbox, paths)

    async def _watch_time(self) -> None:
        """End the turn when the session's container has lived as long as it may."""
        while True:
            try:
                row = await Session.objects.aget(id=self.session.id)
            except DatabaseError:
                logger.exception("session %s: its time could not be looked up", self.session.id)
                await asyncio.sleep(1.0)
                continue
            started_at = row.container_started_at or timezone.now()
            left = started_at + timedelta(seconds=self._limits.session_time_s) - timezone.now()
            if left <= timedelta():
                hours = self._limits.session_time_s / 3600
                self.stop.set(TimeLimitReached(f"The session's {hours:g} h are used up."))
                return
            await asyncio.sleep(min(left.total_seconds() + 0.1, 30))

    async def _tokens(self, recorder: SessionRecorder) -> tuple[int, int]:
        await recorder.flush()
        total_in = total_out = after = 0
        while batch := await log.read(self.session.id, after=after, types=_COST):
            after = batch[-1].seq
            for event in batch:
                body = event.body
                if (
                    isinstance(body, StepEnded | ContextCompacted)
                    and body.turn == self.turn.number
                ):
                    total_in += body.input_tokens
                    total_out += body.output_tokens
        return total_in, total_out

    async def _finish(self, end: TurnEnded) -> None:
        """The turn's end, the session's status and the end of the lease, in one transaction."""
        status = STATUS_AFTER.get(end.reason, Status.IDLE)

        @database_sync_to_async
        def write() -> None:
            with transaction.atomic():
                log.append_now(self.session.id, [end, SessionStatus(status)], lease=self._lease)
                services.turn_set_status(
                    self.turn.id,
                    TurnStatus.RUNNING,
                    TurnStatus.ENDED,
                    end_reason=end.reason,
                    ended_at=timezone.now(),
                )
                Session.objects.filter(id=self.session.id).update(
                    status=status,
                    lease_owner="",
                    lease_until=None,
                    last_active_at=timezone.now(),
                )

        await write()
        await bus.notify_changed(self.session.id, self.session.owner_id)


async def _close(recorder: SessionRecorder) -> None:
    """What could not be stored has been raised where it was recorded."""
    try:
        await recorder.aclose()
    except LeaseLostError:
        logger.info("the session's lease went to another runner")
