// Keeps the list of sessions current: the socket says that something changed, htmx fetches it.
import { refreshAges } from "berth/ages";
import "berth/keyed";

const AGE_MS = 20_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;
const QUIET_MS = 2_500; // a short gap is not worth a word

const list = document.querySelector("#session-rows");
const state = document.querySelector("#live-state");
let retryMs = FIRST_RETRY_MS;
let quiet;

function nudge() {
  if (!document.hidden) window.htmx.trigger(list, "nudge");
}

function connect() {
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/sessions/`);
  socket.addEventListener("open", () => {
    retryMs = FIRST_RETRY_MS;
    clearTimeout(quiet);
    quiet = undefined;
    state.textContent = "";
    nudge(); // what changed while there was no connection
  });
  socket.addEventListener("message", nudge);
  socket.addEventListener("close", (event) => {
    if (event.code === 4401) return location.reload(); // signed out elsewhere
    if (event.code >= 4000) return undefined;
    quiet ??= setTimeout(() => {
      state.textContent = "Connection lost. Trying again…";
    }, QUIET_MS);
    setTimeout(connect, retryMs * (0.5 + Math.random() / 2));
    retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
    return undefined;
  });
}

// The scripted model needs other words and other examples than a real one.
const choice = document.querySelector("#choice");

function suggest() {
  const { forModel, forScript } = document.querySelector("#task").dataset;
  document.querySelector("#task").placeholder = choice.value.startsWith("scripted:") ? forScript : forModel;
}

choice.addEventListener("change", () => {
  suggest();
  nudge();
});
suggest(); // the browser may have restored another choice; the rows follow when the socket opens
connect();
refreshAges(list);
setInterval(() => refreshAges(list), AGE_MS);
document.addEventListener("visibilitychange", nudge);

// A second click must not start a second tour.
document.querySelector("#tour-form").addEventListener("submit", (event) => {
  for (const button of document.querySelectorAll("#tour-form button, [form=tour-form]")) {
    setTimeout(() => (button.disabled = true)); // after the form has been read
  }
  event.target.setAttribute("aria-busy", "true");
});
