// Where a person writes: send, queue while a turn runs, stop it.

import { AttachedFiles } from "berth/session/composer_files";
import { RequestError, post } from "berth/session/requests";
import { toast } from "berth/ui";

const DOUBLE_ESCAPE_MS = 700;
const CLOSED_BY_ESCAPE = "dialog[open], details.menu[open], :popover-open, .is-fullscreen";
const MAX_HEIGHT_SHARE = 0.4;

export class Composer {
  /**
   * @param {HTMLFormElement} form
   * @param {{sessionId: string, onSent(): void, onTyped(): void}} options
   */
  constructor(form, { sessionId, onSent, onTyped }) {
    this.form = form;
    this.onSent = onSent;
    this.onTyped = onTyped;
    this.text = form.querySelector("textarea");
    this.part = (name) => form.querySelector(`[data-composer=${name}]`);
    this.draftKey = `berth-draft-${sessionId}`;
    this.files = new AttachedFiles(form, () => this.render());
    this.isOnline = false;
    this.isGone = false;
    this.isSending = false;
    this.isStopAsked = false;
    this.state = null;
    this.lastEscape = 0;
    this.isTouch = matchMedia("(pointer: coarse)").matches;
    this.#restoreDraft();
    this.#wire();
  }

  #wire() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.text.addEventListener("input", () => this.#typed());
    this.text.addEventListener("keydown", (event) => this.#key(event));
    for (const button of document.querySelectorAll("[data-action=stop]")) {
      button.addEventListener("click", () => this.stop());
    }
    this.part("queue").addEventListener("click", (event) => {
      const remove = event.target.closest("[data-turn]");
      if (remove) this.#removeQueued(remove);
    });
    // While it is going down, so that what this key is about to close is still open.
    document.addEventListener("keydown", (event) => this.#escape(event), { capture: true });
    addEventListener("resize", () => this.#grow());
    this.part("hint").textContent = this.isTouch ? "" : "Enter sends, Shift+Enter makes a new line";
    this.part("hint").classList.add("is-idle");
    this.#grow();
  }

  #restoreDraft() {
    try {
      this.text.value = sessionStorage.getItem(this.draftKey) ?? "";
    } catch {
      // storage is blocked: the text lives as long as the page
    }
  }

  #keepDraft() {
    try {
      if (this.text.value) sessionStorage.setItem(this.draftKey, this.text.value);
      else sessionStorage.removeItem(this.draftKey);
    } catch {
      // blocked or full: see above
    }
  }

  #typed() {
    this.onTyped();
    this.#keepDraft();
    this.#grow();
    this.render();
  }

  #grow() {
    this.text.style.height = "auto";
    const most = Math.max(120, innerHeight * MAX_HEIGHT_SHARE);
    this.text.style.height = `${Math.min(this.text.scrollHeight + 2, most)}px`;
  }

  #key(event) {
    // While a word is being composed (Japanese, Chinese), Enter only confirms it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    if (this.isTouch && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.#send();
  }

  #escape(event) {
    if (event.key !== "Escape" || event.isComposing || !this.state?.running) return;
    if (document.fullscreenElement || document.querySelector(CLOSED_BY_ESCAPE)) return;
    if (event.target.closest?.(".terminal-search, .session-rename, .is-fullscreen, .files")) return;
    const now = performance.now();
    if (now - this.lastEscape < DOUBLE_ESCAPE_MS) this.stop();
    else this.#hint("Press Esc again to stop");
    this.lastEscape = now;
  }

  #hint(text) {
    const hint = this.part("hint");
    const before = hint.dataset.text ?? hint.textContent;
    hint.dataset.text = before;
    hint.textContent = text;
    hint.classList.remove("is-idle");
    clearTimeout(this.hintTimer);
    this.hintTimer = setTimeout(() => {
      hint.classList.add("is-idle");
      hint.textContent = before;
    }, 1500);
  }

  get #isEmpty() {
    return !this.text.value.trim();
  }

  async #send() {
    if (this.isSending || !this.isOnline) return;
    if (this.#isEmpty) {
      if (this.files.files.length) this.#hint("Say what to do with the files");
      return;
    }
    const text = this.text.value;
    const files = this.files.files;
    this.isSending = true;
    this.render();
    const progress = this.part("progress");
    try {
      await post(this.form.action, { text }, {
        files,
        onProgress: (share) => {
          progress.hidden = files.length === 0;
          progress.value = share;
        },
      });
      if (this.text.value === text) this.text.value = "";
      this.files.take();
      this.onSent();
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      toast(error.message, "danger");
    } finally {
      this.isSending = false;
      progress.hidden = true;
      this.#typed();
    }
  }

  async stop() {
    if (!this.state?.running || this.isStopAsked) return;
    this.isStopAsked = true;
    this.render();
    try {
      await post(this.form.dataset.stopUrl);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.isStopAsked = false;
      toast(error.message, "danger");
      this.render();
    }
  }

  async #removeQueued(button) {
    button.disabled = true;
    try {
      await post(this.form.dataset.removeUrl.replace("/0/", `/${button.dataset.turn}/`));
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      button.disabled = false;
      toast(error.message, "warn");
    }
  }

  setOnline(isOnline) {
    this.isOnline = isOnline;
    this.render();
  }

  /** The session was deleted: there is nobody to write to any more. */
  setGone() {
    this.isGone = true;
    this.isOnline = false;
    this.form.classList.add("is-gone");
    this.text.disabled = true;
    this.part("attach").disabled = true;
    this.part("hint").textContent = "";
    this.part("queue").hidden = true;
    this.render();
  }

  /** @param {import("berth/session/state").SessionState} state */
  update(state) {
    if (this.isGone) return;
    if (!state.running) this.isStopAsked = false;
    this.state = state;
    this.#renderQueue(state);
    this.render();
  }

  render() {
    const running = this.isGone ? null : (this.state?.running ?? null);
    const isStopping = Boolean(running) && (this.isStopAsked || running.isStopping);
    const isWriting = !this.#isEmpty || this.files.files.length > 0;
    const send = this.part("send");
    const stop = this.part("stop");
    send.hidden = Boolean(running) && !isWriting;
    send.disabled = !this.isOnline || this.isSending || !isWriting;
    const willQueue = Boolean(running) || (this.state?.queue.length ?? 0) > 0;
    send.textContent = this.isSending ? "Sending…" : willQueue ? "Queue" : "Send";
    stop.hidden = !running;
    stop.classList.toggle("primary", !isWriting);
    for (const button of document.querySelectorAll("[data-action=stop]")) {
      button.hidden = !running;
      button.disabled = isStopping || !this.isOnline;
      button.querySelector("[data-label]").textContent = isStopping ? "Stopping…" : "Stop";
    }
    this.text.placeholder = this.#placeholder(running);
  }

  #placeholder(running) {
    if (this.isGone) return "This session was deleted";
    if (running) return "Write the next message";
    // Before the log is read, what the server wrote there holds.
    if (!this.state) return this.text.placeholder;
    return this.state.hasTurns ? "Ask for something else" : "Type a task for this container";
  }

  #renderQueue({ queue, running }) {
    const list = this.part("queue");
    // The first message of a fresh session is not waiting for another one.
    const isShown = queue.length > 0;
    list.hidden = !isShown;
    const title = list.querySelector("[data-composer=queue-title]");
    title.textContent = running ? `Queued (${queue.length})` : "Waiting to start";
    const template = document.querySelector("#template-queued");
    const items = queue.map(({ turn, text, files }) => {
      const item = template.content.firstElementChild.cloneNode(true);
      item.dataset.queued = String(turn);
      item.querySelector("bdi").textContent = text.length > 300 ? `${text.slice(0, 300)}…` : text;
      item.querySelector(".muted").textContent = files.length ? `+${files.length} file${files.length === 1 ? "" : "s"}` : "";
      item.querySelector("button").dataset.turn = String(turn);
      return item;
    });
    list.querySelector("ul").replaceChildren(...items);
  }
}
