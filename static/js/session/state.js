// What the log says about the session as a whole. Pure: events in, a plain state out.

/**
 * @typedef {{turn: number, text: string, files: string[], at: number}} QueuedTurn
 * @typedef {{status: string, containerState: string, containerReason: string, title: string,
 *            running: {turn: number, at: number, isStopping: boolean} | null,
 *            queue: QueuedTurn[], inputTokens: number, outputTokens: number,
 *            runningCalls: Set<string>, workedMs: number, openShells: Set<string>, keptBy: string,
 *            hasTurns: boolean, hasShells: boolean}} SessionState
 */

/** @returns {SessionState} */
export function newState() {
  return {
    status: "starting",
    containerState: "pending",
    containerReason: "",
    title: "",
    running: null,
    queue: [],
    inputTokens: 0,
    outputTokens: 0,
    runningCalls: new Set(),
    workedMs: 0,
    openShells: new Set(),
    keptBy: "",
    hasTurns: false,
    hasShells: false,
  };
}

/** @type {Record<string, (state: SessionState, event: any) => void>} */
const CASES = {
  "session.created": (state, { title }) => {
    state.title = title;
  },
  "session.status": (state, { status }) => {
    state.status = status;
  },
  "session.kept": (state, { by }) => {
    state.keptBy = by;
  },
  "container.state": (state, event) => {
    state.containerState = event.state;
    state.containerReason = event.reason;
  },
  "turn.queued": (state, { turn, text, files, at }) => {
    state.queue.push({ turn, text, files, at });
    state.hasTurns = true;
  },
  "turn.removed": (state, { turn }) => {
    state.queue = state.queue.filter((queued) => queued.turn !== turn);
  },
  "turn.started": (state, { turn, at }) => {
    state.queue = state.queue.filter((queued) => queued.turn !== turn);
    state.running = { turn, at, isStopping: false };
  },
  "turn.stopping": (state, { turn }) => {
    if (state.running?.turn === turn) state.running.isStopping = true;
  },
  "turn.ended": (state, { duration_ms: duration }) => {
    state.running = null;
    state.runningCalls.clear();
    state.workedMs += duration ?? 0;
  },
  "step.ended": (state, event) => {
    state.inputTokens += event.input_tokens;
    state.outputTokens += event.output_tokens;
  },
  "context.compacted": (state, event) => {
    state.inputTokens += event.input_tokens;
    state.outputTokens += event.output_tokens;
  },
  "shell.opened": (state, event) => {
    state.openShells.add(event.shell_id);
    state.hasShells = true;
  },
  "shell.ended": (state, event) => {
    state.openShells.delete(event.shell_id);
  },
  "call.started": (state, event) => {
    state.runningCalls.add(event.call_id);
  },
  "call.ended": (state, event) => {
    state.runningCalls.delete(event.call_id);
  },
};

/** Whether an event of this type can change the state. */
export function concernsState(type) {
  return type in CASES;
}

/** @param {SessionState} state changed in place */
export function applyEvent(state, event) {
  CASES[event.type]?.(state, event);
}
