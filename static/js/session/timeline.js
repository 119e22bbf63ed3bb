// The left side: the session as a list that grows at its end.

import { describeShellEnd, formatDuration, formatNumber } from "berth/session/format";
import { CallCard } from "berth/session/timeline_call";
import { ModelMessage, userMessage } from "berth/session/timeline_message";
import { PROGRAM_CASES } from "berth/session/timeline_program";
import { SEARCH_CASES } from "berth/session/timeline_search";
import { RestNote, isOfRest } from "berth/session/timeline_rest";

const NEAR_END_PX = 80;
/** A scroll this long after a person's last wheel, touch, key or press is not theirs. */
const INPUT_MS = 1000;
const INPUTS = ["wheel", "touchmove", "keydown", "pointerdown", "pointermove"];
const ENDINGS = {
  step_limit: "The limit of steps for one turn is reached.",
  token_limit: "The limit of tokens for one turn is reached.",
  cost_limit: "The cost limit of one turn is reached.",
  time_limit: "The container's time is up.",
  stopped: "Stopped.",
  failed: "The turn failed.",
};

export class Timeline {
  /**
   * @param {HTMLElement} scroller
   * @param {{onCall(callId: string): void, onShell(shellId: string): void, now(): number, announce(text: string): void}} handlers
   *        `now` is the server's clock in ms
   */
  constructor(scroller, handlers) {
    this.scroller = scroller;
    this.handlers = handlers;
    this.list = scroller.querySelector("#timeline");
    this.latest = scroller.parentElement.querySelector("[data-timeline=latest]");
    /** @type {Map<string, CallCard>} */
    this.calls = new Map();
    /** By the tool call. @type {Map<string, SearchCard>} */
    this.searches = new Map();
    /** @type {Map<string, ModelMessage>} */
    this.messages = new Map();
    /** Messages of the step that runs, so that a repeated attempt can take them back. */
    this.attempt = { key: "", ids: [] };
    this.queued = new Map();
    /** What is told of shells by their numbers, and who typed last. */
    this.shells = new Map();
    /** Names of the program's tools by the ids of their calls. @type {Map<string, string>} */
    this.programCalls = new Map();
    /** Ends of shells whose reason may be told again, of their container. @type {{element: HTMLElement, reason: string, number: number}[]} */
    this.shellEnds = [];
    /** @type {RestNote | null} */
    this.rest = null;
    this.retry = null;
    /** Stands at the end while the model has been asked and says nothing yet. */
    this.thinking = Object.assign(document.createElement("p"), {
      className: "thinking",
      textContent: "The model is reading …",
    });
    this.dirty = new Set();
    this.frame = 0;
    this.isFollowing = true;
    this.isReplaying = true;
    this.lastTop = 0;
    this.lastHeight = 0;
    this.inputAt = -INPUT_MS;
    this.#wire();
  }

  #wire() {
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    for (const name of INPUTS) {
      this.scroller.addEventListener(name, (event) => this.#touched(event), { passive: true });
    }
    this.latest.addEventListener("click", () => this.scrollToEnd());
    this.list.addEventListener("click", (event) => this.#unfolding(event), { capture: true });
    document.addEventListener("visibilitychange", () => this.#keepEnd());
    new ResizeObserver(() => this.#keepEnd()).observe(this.list);
    new ResizeObserver(() => {
      // The composer below keeps clear of the scrollbar's width, whatever it is here.
      const gutter = this.scroller.offsetWidth - this.scroller.clientWidth;
      this.scroller.closest(".session").style.setProperty("--gutter", `${gutter}px`);
      this.#keepEnd();
    }).observe(this.scroller);
    setInterval(() => this.#tick(), 1000);
  }

  #touched(event) {
    if (event.type === "pointermove" && event.buttons === 0) return;
    this.inputAt = performance.now();
  }

  get #gap() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    return scrollHeight - clientHeight - scrollTop;
  }

  /**
   * Only a person going up ends the following. Cards get their real height when they come into
   * view, so the end may be far away just because they grew since the last scroll to it. A scroll
   * up with no such change is a person's also without a wheel or a key: the browser's search, a
   * screen reader.
   */
  #scrolled() {
    const { scrollTop, scrollHeight } = this.scroller;
    const isUp = scrollTop < this.lastTop - 1;
    const isByPerson = performance.now() - this.inputAt < INPUT_MS || scrollHeight === this.lastHeight;
    this.lastTop = scrollTop;
    this.lastHeight = scrollHeight;
    if (this.#gap < NEAR_END_PX) this.isFollowing = true;
    else if (isUp && isByPerson) this.isFollowing = false;
    else this.#keepEnd();
    this.latest.hidden = this.isFollowing;
  }

  /** What a person unfolds at the end stays under their eyes. */
  #unfolding(event) {
    if (!event.target.closest("[data-part=fold], [data-part=more], summary")) return;
    this.isFollowing = false;
    requestAnimationFrame(() => {
      this.isFollowing = this.#gap < NEAR_END_PX;
      this.latest.hidden = this.isFollowing;
    });
  }

  #keepEnd() {
    if (this.isFollowing) this.#toEnd();
  }

  #toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.lastTop = this.scroller.scrollTop;
    this.lastHeight = this.scroller.scrollHeight;
  }

  scrollToEnd() {
    this.isFollowing = true;
    this.inputAt = -INPUT_MS; // a key or press before this is answered by it
    this.#toEnd();
    this.latest.hidden = true;
  }

  /** @param {object[]} events */
  write(events) {
    for (const event of events) CASES[event.type]?.(this, event);
    this.#schedule();
  }

  caughtUp() {
    this.isReplaying = false;
    this.#schedule();
  }

  /** @param {import("berth/session/state").SessionState} state */
  update(state) {
    const nothing = this.list.querySelector("[data-timeline=nothing]");
    if (nothing) nothing.hidden = state.hasTurns || state.hasShells;
  }

  #schedule() {
    if (this.frame) return;
    const run = () => {
      cancelAnimationFrame(this.frame);
      clearTimeout(this.timer);
      this.frame = 0;
      this.#render();
    };
    this.frame = requestAnimationFrame(run);
    this.timer = setTimeout(run, 300); // a hidden tab has no frames
  }

  #render() {
    const now = this.handlers.now();
    for (const item of this.dirty) item.render(now);
    this.dirty.clear();
    if (this.isFollowing) this.#toEnd();
    else this.latest.hidden = false;
  }

  #tick() {
    const now = this.handlers.now();
    for (const card of this.calls.values()) if (!card.ending) card.tick(now);
    if (this.retry) this.#renderRetry(now);
  }

  /** Whatever comes is what was waited for. */
  append(element) {
    this.thinking.remove();
    this.list.append(element);
  }

  announce(text) {
    if (!this.isReplaying) this.handlers.announce(text);
  }

  template(name) {
    return document.querySelector(`#template-${name}`);
  }

  startCall(event) {
    const card = new CallCard(this.template("call"), event);
    this.calls.set(card.id, card);
    card.element.addEventListener("click", (click) => {
      const isControl = click.target.closest("button, a, summary");
      if (!isControl && !getSelection()?.toString()) this.handlers.onCall(card.id);
    });
    this.append(card.element);
    this.dirty.add(card);
  }

  message(event) {
    let message = this.messages.get(event.message_id);
    if (!message) {
      message = new ModelMessage(this.template(event.kind === "reasoning" ? "reasoning" : "text"), event);
      this.messages.set(message.id, message);
      this.attempt.ids.push(message.id);
      this.append(message.element);
    }
    return message;
  }

  /** Another attempt at the same step makes everything said in the one before void. */
  startStep({ turn, step }) {
    const key = `${turn}.${step}`;
    if (this.attempt.key === key) {
      for (const id of this.attempt.ids) {
        this.messages.get(id)?.element.remove();
        this.messages.delete(id);
      }
    }
    this.attempt = { key, ids: [] };
    this.list.append(this.thinking);
  }

  note(level, text, hint = "") {
    const element = this.template("note").content.firstElementChild.cloneNode(true);
    element.dataset.level = level;
    element.querySelector("[data-part=text]").textContent = text;
    element.querySelector("[data-part=hint]").textContent = hint;
    this.append(element);
    return element;
  }

  /** A person's shell, with a way to it. */
  shellNote(event, text, level = "info") {
    const element = this.template("shell-note").content.firstElementChild.cloneNode(true);
    element.dataset.level = level;
    element.querySelector("[data-part=text]").textContent = text;
    element.querySelector("[data-part=show]").addEventListener("click", () => this.handlers.onShell(event.shell_id));
    this.append(element);
    this.announce(text);
    return element;
  }

  /** Its reason stands in one place: a shell that ended with its container says just that. */
  containerState(event) {
    if (!event.reason) return;
    for (const { element, reason, number } of this.shellEnds) {
      if (reason === event.reason) {
        element.querySelector("[data-part=text]").textContent = `Shell ${number} ended with the container.`;
      }
    }
    this.shellEnds = [];
    if (!isOfRest(event)) {
      this.note(event.state === "failed" ? "error" : "info", event.reason);
      return;
    }
    if (!this.rest || this.list.lastElementChild !== this.rest.element) {
      this.rest = new RestNote(this.note("info", ""));
    }
    this.rest.add(event);
    this.announce(event.reason);
  }

  retrying(event) {
    this.retry = { event, element: this.retry?.element ?? this.note("warning", "") };
    this.list.append(this.retry.element);
    this.#renderRetry(this.handlers.now());
  }

  #renderRetry(now) {
    const { event, element } = this.retry;
    const seconds = Math.ceil((event.at + event.wait_s * 1000 - now) / 1000);
    const when = seconds > 0 ? `in ${seconds} s` : "now";
    const reason = event.reason.replace(/[.\s]+$/, "");
    element.querySelector("[data-part=text]").textContent =
      `${reason}. Trying again ${when} (attempt ${event.attempt + 1}).`;
  }

  /** The model answered after all: the line about retrying says so and stays. */
  endRetry() {
    if (!this.retry) return;
    const { event, element } = this.retry;
    element.dataset.level = "info";
    element.querySelector("[data-part=text]").textContent =
      `${event.reason.replace(/[.\s]+$/, "")}. Tried again ${event.attempt === 1 ? "once" : `${event.attempt} times`}.`;
    this.retry = null;
  }

  endTurn(event) {
    this.endRetry();
    for (const search of this.searches.values()) search.failed();
    for (const message of this.messages.values()) message.element.classList.remove("is-streaming");
    const element = this.template("turn-end").content.firstElementChild.cloneNode(true);
    element.dataset.reason = event.reason;
    const tokens = event.input_tokens + event.output_tokens;
    element.querySelector("[data-part=figures]").textContent = [
      event.duration_ms ? formatDuration(event.duration_ms) : "",
      tokens ? `${formatNumber(tokens)} tokens` : "",
    ].filter(Boolean).join(" · ");
    const text = event.message || ENDINGS[event.reason] || "";
    element.querySelector("[data-part=text]").textContent = text;
    element.querySelector("[data-part=hint]").textContent = event.hint;
    this.append(element);
    this.announce(event.reason === "completed" ? "The turn is done." : text);
  }
}

/** One case for every event the timeline shows. @type {Record<string, (t: Timeline, e: any) => void>} */
const CASES = {
  "turn.queued": (timeline, event) => timeline.queued.set(event.turn, event),
  "turn.removed": (timeline, event) => timeline.queued.delete(event.turn),
  "turn.started": (timeline, event) => {
    const queued = timeline.queued.get(event.turn);
    timeline.queued.delete(event.turn);
    // A program that sends back what its tools gave says nothing by itself.
    if (queued?.text || queued?.files.length) timeline.append(userMessage(timeline.template("user"), queued));
  },
  "turn.ended": (timeline, event) => timeline.endTurn(event),
  "step.started": (timeline, event) => timeline.startStep(event),
  "message.delta": (timeline, event) => {
    timeline.endRetry();
    const message = timeline.message(event);
    message.delta(event.text);
    timeline.dirty.add(message);
  },
  "message.done": (timeline, event) => {
    timeline.endRetry();
    timeline.message(event).done(event);
  },
  "provider.retry": (timeline, event) => timeline.retrying(event),
  "context.compacted": (timeline, { tokens_before: before, tokens_after: after }) =>
    timeline.note(
      "info",
      "Context compacted: the model goes on from a summary of the conversation",
      `About ${formatNumber(before)} tokens became ${formatNumber(after)}. Nothing is gone from this page.`,
    ),
  notice: (timeline, event) => timeline.note(event.level, event.text),
  "container.state": (timeline, event) => timeline.containerState(event),
  "skills.added": (timeline, { skills }) => {
    const names = skills.map(({ name, version }) => (version ? `${name} (version ${version})` : name));
    timeline.note("info", `Skills in the container: ${names.join(", ")}.`);
  },
  "call.started": (timeline, event) => {
    timeline.endRetry();
    timeline.startCall(event);
    timeline.announce(`Command started: ${event.command.split("\n")[0].slice(0, 80)}`);
  },
  output: (timeline, event) => {
    const card = timeline.calls.get(event.call_id);
    if (!card) return;
    card.output(event);
    timeline.dirty.add(card);
  },
  "output.dropped": (timeline, event) => timeline.calls.get(event.call_id)?.dropped(event),
  "call.ended": (timeline, event) => {
    const card = timeline.calls.get(event.call_id);
    if (!card) return;
    card.ended(event);
    timeline.dirty.add(card);
  },
  "shell.opened": (timeline, event) => {
    timeline.shells.set(event.shell_id, { number: timeline.shells.size + 1, writer: "" });
    timeline.shellNote(event, `${event.user} opened Shell ${timeline.shells.size}.`);
  },
  "shell.writer": (timeline, event) => {
    const shell = timeline.shells.get(event.shell_id);
    if (!shell) return;
    const isHandover = shell.writer && shell.writer !== event.user;
    shell.writer = event.user;
    if (isHandover) timeline.shellNote(event, `${event.user} took over the keyboard of Shell ${shell.number}.`);
  },
  "shell.ended": (timeline, event) => {
    const number = timeline.shells.get(event.shell_id)?.number ?? 0;
    const { text, level } = describeShellEnd(event.ending, event.reason);
    const isTrouble = level === "danger" && event.ending.kind !== "exit";
    const element = timeline.shellNote(event, `Shell ${number} ${text}`, isTrouble ? "warning" : "info");
    if (event.reason) timeline.shellEnds.push({ element, reason: event.reason, number });
  },
  ...PROGRAM_CASES,
  ...SEARCH_CASES,
  "tool.result": (timeline, event) => {
    const search = timeline.searches.get(event.tool_call_id);
    if (search?.hasEnded) return;
    search?.failed();
    if (event.text) timeline.note("warning", event.text);
    if (event.images) timeline.calls.get(`${event.tool_call_id}.0`)?.pictures(event.images);
  },
};
