// The session page: one socket, everything it brings handed to timeline, terminal and the rest.

import { mountFiles } from "berth/files";
import { Composer } from "berth/session/composer";
import { Layout } from "berth/session/layout";
import { SessionHeader } from "berth/session/main_header";
import { ConnectionBanner } from "berth/session/main_connection";
import { wireShortcuts } from "berth/session/main_shortcuts";
import { CLOSE_NOT_FOUND } from "berth/session/protocol";
import { ResourcePanel } from "berth/session/resources";
import { Rest } from "berth/session/rest";
import { ShellsPanel } from "berth/session/shells";
import { SessionSocket } from "berth/session/socket";
import { applyEvent, concernsState, newState } from "berth/session/state";
import { TerminalPanel } from "berth/session/terminal";
import { Timeline } from "berth/session/timeline";

const root = document.querySelector("#session");
const urls = root.dataset;
const state = newState();
/** Server clock minus ours, in ms. */
let clockOffset = 0;
let isCaughtUp = false;
const now = () => Date.now() + clockOffset;
const callUrl = (callId) => urls.callUrl.replace("/0/", `/${encodeURIComponent(callId)}/`);

const header = new SessionHeader(document.querySelector(".session-head"), { now });
const rest = new Rest(document.querySelector(".session-head"), { now, onSession });
const terminal = new TerminalPanel(document.querySelector("#terminal-panel"), {
  socketUrl: urls.socketUrl,
  callUrl,
});
const announce = (text) => {
  document.querySelector("#announcer").textContent = text;
};
const resources = new ResourcePanel(document.querySelector("#resources"), { now, announce });
const timeline = new Timeline(document.querySelector(".timeline-scroll"), {
  now,
  announce,
  onCall: (callId) => {
    layout.show("terminal");
    requestAnimationFrame(() => terminal.jumpTo(callId));
  },
  onShell: (shellId) => shells.choose(shellId),
});
const composer = new Composer(document.querySelector("#composer"), {
  sessionId: urls.sessionId,
  onSent: () => timeline.scrollToEnd(),
  onTyped: () => rest.typed(),
});
const files = mountFiles(document.querySelector("#files-panel"), {
  canWrite: true,
  send: (frame) => socket.send(frame),
});
const shells = new ShellsPanel(document.querySelector("#shells-panel"), {
  sessionId: urls.sessionId,
  userName: urls.userName,
  socketUrl: urls.socketUrl,
  callUrl,
  onShow: () => layout.show("shell"),
  onLeave: () => document.querySelector(layout.isNarrow ? "[data-view-button=shell]" : "#tab-shell").focus(),
});
const layout = new Layout(root, {
  onShow: (panel) => {
    files.setActive(panel === "files");
    shells.setVisible(panel === "shell");
    if (panel === "terminal") requestAnimationFrame(() => terminal.fit());
  },
});
const connection = new ConnectionBanner(document.querySelector("#connection"), {
  onRetry: () => socket.retryNow(),
});
wireShortcuts({ composer, layout, terminal });

timeline.list.addEventListener("click", (event) => {
  const button = event.target.closest("[data-call-action]");
  if (!button) return;
  const callId = button.closest("[data-call-id]").dataset.callId;
  callAction(button.dataset.callAction, callId);
});

function callAction(action, callId) {
  if (action === "copy-command") terminal.copyCommand(callId);
  else if (action === "copy-output") terminal.copyOutput(callId);
  else if (action === "download") location.assign(callUrl(callId));
  else {
    layout.show("terminal");
    if (action === "only") requestAnimationFrame(() => terminal.showOnly(callId));
    else requestAnimationFrame(() => terminal.jumpTo(callId));
  }
}

function onEvents(events) {
  let isStateChanged = false;
  for (const event of events) {
    if (concernsState(event.type)) {
      applyEvent(state, event);
      isStateChanged = true;
    }
  }
  timeline.write(events);
  resources.write(events);
  shells.write(events);
  const seq = events[events.length - 1].seq;
  terminal.write(events, () => {
    root.dataset.seq = String(seq);
    socket.ack(seq);
  });
  // A replay would flicker through every state the session ever had.
  if (!isCaughtUp) return;
  for (const event of events) rest.write(event);
  if (isStateChanged) renderState();
  if (events.some(({ type }) => type === "call.ended" || type === "turn.ended")) files.refresh();
}

function renderState() {
  header.update(state);
  composer.update(state);
  resources.update(state);
  timeline.update(state);
  files.setRunning(state.running !== null);
  files.setContainerState(state.containerState);
  rest.update(state);
  root.dataset.running = String(state.running !== null);
}

function onControl(frame) {
  if (frame.type === "hello") {
    if (typeof frame.now === "number") clockOffset = frame.now - Date.now();
    onSession(frame.session);
  } else if (frame.type === "session") onSession(frame.session);
  else if (frame.type === "folders") files.foldersChanged(frame);
  else if (frame.type === "caught_up") {
    isCaughtUp = true;
    timeline.caughtUp();
    const wasInShell = shells.wasShown;
    shells.caughtUp();
    if (wasInShell) layout.show("shell");
    renderState();
    files.refresh();
    terminal.all.sink.flush(() => {
      root.dataset.caughtUp = "true";
    });
  }
}

function onSession(session) {
  header.setTitle(session.title);
  header.setContainer(session.container);
  rest.setSession(session);
  state.containerState = session.container_state;
  if (isCaughtUp) renderState();
}

function onState(socketState) {
  const isOpen = socketState.name === "open";
  root.dataset.connected = String(isOpen);
  connection.update(socketState);
  composer.setOnline(isOpen);
  files.setConnected(isOpen);
  if (socketState.name === "ended" && socketState.code === CLOSE_NOT_FOUND) {
    header.setGone();
    composer.setGone();
    rest.setGone();
  }
}

const socket = new SessionSocket(urls.socketUrl, { onEvents, onControl, onState });
socket.connect();
