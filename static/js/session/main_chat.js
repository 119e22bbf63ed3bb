// The page of a session without a container: a program asks the model, and runs the tools itself.

import { ConnectionBanner } from "berth/session/main_connection";
import { SessionHeader } from "berth/session/main_header";
import { CLOSE_NOT_FOUND } from "berth/session/protocol";
import { RequestError, post } from "berth/session/requests";
import { SessionSocket } from "berth/session/socket";
import { applyEvent, concernsState, newState } from "berth/session/state";
import { Timeline } from "berth/session/timeline";
import { toast } from "berth/ui";

const root = document.querySelector("#session");
const urls = root.dataset;
const head = document.querySelector(".session-head");
const stop = head.querySelector("[data-action=stop]");
const state = newState();
/** Server clock minus ours, in ms. */
let clockOffset = 0;
let isCaughtUp = false;
let isOnline = false;
let isStopAsked = false;
const now = () => Date.now() + clockOffset;

const header = new SessionHeader(head, { now });
const timeline = new Timeline(document.querySelector(".timeline-scroll"), {
  now,
  announce: (text) => {
    document.querySelector("#announcer").textContent = text;
  },
  onCall: () => {},
  onShell: () => {},
});
const connection = new ConnectionBanner(document.querySelector("#connection"), {
  onRetry: () => socket.retryNow(),
});

stop.addEventListener("click", async () => {
  if (!state.running || isStopAsked) return;
  isStopAsked = true;
  renderStop();
  try {
    await post(urls.stopUrl);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    isStopAsked = false;
    toast(error.message, "danger");
    renderStop();
  }
});

function renderStop() {
  const isStopping = isStopAsked || Boolean(state.running?.isStopping);
  stop.hidden = !state.running;
  stop.disabled = isStopping || !isOnline;
  stop.querySelector("[data-label]").textContent = isStopping ? "Stopping…" : "Stop";
}

function renderState() {
  if (!state.running) isStopAsked = false;
  header.update(state);
  timeline.update(state);
  renderStop();
  root.dataset.running = String(state.running !== null);
}

function onEvents(events) {
  let isStateChanged = false;
  for (const event of events) {
    if (!concernsState(event.type)) continue;
    applyEvent(state, event);
    isStateChanged = true;
  }
  timeline.write(events);
  const { seq } = events[events.length - 1];
  root.dataset.seq = String(seq);
  socket.ack(seq);
  // A replay would flicker through every state the session ever had.
  if (isCaughtUp && isStateChanged) renderState();
}

function onControl(frame) {
  if (frame.type === "hello" || frame.type === "session") {
    if (typeof frame.now === "number") clockOffset = frame.now - Date.now();
    header.setTitle(frame.session.title);
  } else if (frame.type === "caught_up") {
    isCaughtUp = true;
    timeline.caughtUp();
    renderState();
    root.dataset.caughtUp = "true";
  }
}

function onState(socketState) {
  isOnline = socketState.name === "open";
  root.dataset.connected = String(isOnline);
  connection.update(socketState);
  renderStop();
  if (socketState.name === "ended" && socketState.code === CLOSE_NOT_FOUND) {
    state.running = null;
    renderStop();
    header.setGone();
  }
}

const socket = new SessionSocket(urls.socketUrl, { onEvents, onControl, onState });
socket.connect();
