// The session's line in the page's header: name, state, figures; rename and delete.

import { formatClock, formatNumber } from "berth/session/format";
import { RequestError, post } from "berth/session/requests";
import { confirmDialog, toast } from "berth/ui";

const STATE_WORDS = {
  starting: "Starting",
  idle: "Idle",
  running: "Running",
  stopped: "Stopped",
  failed: "Failed",
};

export class SessionHeader {
  /** @param {HTMLElement} root @param {{now(): number}} options */
  constructor(root, { now }) {
    this.root = root;
    this.now = now;
    this.part = (name) => root.querySelector(`[data-header=${name}]`);
    this.title = this.part("title").textContent;
    this.state = null;
    this.isGone = false;
    this.#wire();
    setInterval(() => this.#tick(), 1000);
  }

  #wire() {
    const { root } = this;
    for (const button of root.querySelectorAll("[data-action=rename]")) {
      button.addEventListener("click", () => this.#edit(true));
    }
    for (const button of root.querySelectorAll("[data-action=delete]")) {
      button.addEventListener("click", () => this.#delete());
    }
    const form = this.part("rename");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#rename(form.elements.title.value);
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#edit(false);
    });
    form.elements.title.addEventListener("blur", () => this.#edit(false));
  }

  #edit(isEditing) {
    const form = this.part("rename");
    if (form.hidden === !isEditing) return;
    form.hidden = !isEditing;
    this.part("name").hidden = isEditing;
    if (isEditing) {
      for (const menu of this.root.querySelectorAll("details[open]")) menu.open = false;
      form.elements.title.value = this.title;
      form.elements.title.focus();
      form.elements.title.select();
    } else this.part("title-button").focus();
  }

  async #rename(title) {
    this.#edit(false);
    if (!title.trim() || title === this.title) return;
    try {
      this.setTitle((await post(this.root.dataset.renameUrl, { title })).title);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      toast(error.message, "danger");
    }
  }

  async #delete() {
    for (const menu of this.root.querySelectorAll("details[open]")) menu.open = false;
    const owned = this.part("container") ? "Its container, its files and its history go" : "Its history goes";
    const question = `Delete “${this.title}”? ${owned} with it.`;
    if (!(await confirmDialog(question, { danger: true }))) return;
    try {
      await post(this.root.dataset.deleteUrl);
      location.assign(this.root.dataset.homeUrl);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      toast(error.message, "danger");
    }
  }

  /** @param {string} name of the container in the engine, empty when there is none */
  setContainer(name) {
    const shown = this.part("container-name");
    shown.textContent = name || "–";
    shown.title = name;
    this.part("container-copy").hidden = !name;
  }

  setTitle(title) {
    this.title = title;
    this.part("title").textContent = title;
    this.#renderDocumentTitle();
  }

  /** Deleted elsewhere: nothing of it can be changed, and no time runs. */
  setGone() {
    this.isGone = true;
    this.state = null;
    for (const chip of this.root.querySelectorAll("[data-header=status]")) {
      chip.dataset.status = "failed";
      chip.querySelector("[data-header=status-text]").textContent = "Deleted";
    }
    this.part("turn-time").textContent = "";
    // A session without a container has no line of it.
    if (this.part("container")) this.part("container").textContent = "deleted";
    for (const button of this.root.querySelectorAll("[data-action=rename], [data-action=delete]")) {
      button.disabled = true;
    }
    this.#renderDocumentTitle();
  }

  /** @param {import("berth/session/state").SessionState} state */
  update(state) {
    if (this.isGone) return;
    this.state = state;
    const status = state.running ? "running" : state.queue.length ? "starting" : state.status;
    for (const chip of this.root.querySelectorAll("[data-header=status]")) {
      chip.dataset.status = status;
      chip.querySelector("[data-header=status-text]").textContent = STATE_WORDS[status] ?? status;
    }
    const container = this.part("container");
    if (container) {
      container.textContent = state.containerState;
      container.title = state.containerReason;
    }
    const total = formatNumber(state.inputTokens + state.outputTokens);
    const inAndOut = `${state.inputTokens.toLocaleString("en")} in, ${state.outputTokens.toLocaleString("en")} out`;
    this.part("tokens").textContent = `${total} tokens`;
    this.part("tokens").title = inAndOut;
    this.part("tokens-detail").textContent = inAndOut;
    this.#tick();
    this.#renderDocumentTitle();
  }

  #tick() {
    if (!this.state) return;
    const { running, workedMs } = this.state;
    const elapsed = running ? this.now() - running.at : 0;
    this.part("turn-time").textContent = running ? formatClock(elapsed) : "";
    this.part("worked").textContent = formatClock(workedMs + elapsed);
  }

  #renderDocumentTitle() {
    const mark = this.state?.running ? "● " : this.state?.status === "failed" ? "✕ " : "";
    document.title = `${mark}${this.title} · Berth`;
  }
}
