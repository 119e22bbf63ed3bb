// One file, as the server renders it. Its HTML is made safe there; nothing is built from bytes here.

import { formatSize } from "berth/files-format";
import { copyText, toast } from "berth/ui";

export class FilesViewer {
  /**
   * @param {HTMLElement} panel @param {import("berth/files-api").FilesApi} api
   * @param {{onOpen: (query: string|null) => void, onLink: (query: string) => void, nameOf: (query: string) => string, onError: (error: Error) => void}} events
   */
  constructor(panel, api, events) {
    this.panel = panel;
    this.api = api;
    this.events = events;
    this.view = panel.querySelector(".files-view");
    this.idle = panel.querySelector(".files-idle");
    /** @type {string|null} */
    this.query = null;
    this.isWrapped = false;
    this.view.addEventListener("click", (event) => this.#onClick(event));
    this.view.addEventListener("keydown", (event) => this.#onKey(event));
  }

  get article() {
    return this.view.querySelector("article");
  }

  /** @param {string} query @param {{as?: string, offset?: number, takeFocus?: boolean}} options */
  async open(query, { as = "", offset = 0, takeFocus = false } = {}) {
    const isSame = query === this.query;
    this.query = query;
    this.panel.classList.add("is-viewing");
    this.idle.hidden = true;
    this.view.hidden = false;
    this.view.setAttribute("aria-busy", "true");
    this.events.onOpen(query);
    await this.#load(query, { as, offset }, isSame);
    if (takeFocus) this.view.querySelector(".file-body")?.focus({ preventScroll: true });
  }

  close() {
    this.abort?.abort();
    this.query = null;
    this.view.replaceChildren();
    this.view.hidden = true;
    this.idle.hidden = false;
    this.panel.classList.remove("is-viewing");
    this.events.onOpen(null);
  }

  /** Shows the file again in the same view. */
  async reload() {
    const { view = "", offset = "0" } = this.article?.dataset ?? {};
    if (this.query !== null) await this.open(this.query, { as: view, offset: Number(offset) });
  }

  /** What `changes/` said of the open file. @param {{query: string, etag: string}} now */
  fileIsNow(now) {
    if (now.query !== this.query || this.view.ariaBusy === "true" || !this.article) return;
    if (now.etag === this.article.dataset.etag) return;
    if (now.etag && !this.#isBeingRead()) {
      this.reload();
      return;
    }
    const note = this.view.querySelector(".file-changed");
    note.querySelector("button").hidden = !now.etag;
    note.querySelector("span").textContent = now.etag ? "The file has changed." : "The file is gone.";
    note.hidden = false;
  }

  /** Someone selects text in it or walks through a hex page: then it must not move. */
  #isBeingRead() {
    const selection = document.getSelection();
    const hasSelection = selection && !selection.isCollapsed && this.view.contains(selection.anchorNode);
    return hasSelection || Number(this.article.dataset.offset) > 0;
  }

  async #load(query, options, isSame) {
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    try {
      const html = await this.api.view(query, { ...options, signal: abort.signal });
      if (!abort.signal.aborted) this.#show(html, isSame);
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#showError(error);
      this.events.onError(error);
    } finally {
      if (this.abort === abort) this.view.setAttribute("aria-busy", "false");
    }
  }

  #show(html, isSame) {
    const before = this.view.querySelector(".file-body");
    const oldView = this.article?.dataset.view;
    const place = isSame && before ? [before.scrollTop, before.scrollLeft] : null;
    const hadFocus = isSame && this.view.contains(document.activeElement);
    const focused = hadFocus ? focusPath(document.activeElement) : "";
    this.view.innerHTML = html;
    const size = this.view.querySelector("[data-bytes]");
    if (size) size.textContent = formatSize(Number(size.dataset.bytes));
    const body = this.view.querySelector(".file-body");
    if (place && body && oldView === this.article.dataset.view) [body.scrollTop, body.scrollLeft] = place;
    if (hadFocus) (this.view.querySelector(focused) ?? body)?.focus({ preventScroll: true });
    this.#wrap(this.isWrapped);
  }

  #showError(error) {
    const box = document.createElement("div");
    box.className = "file-failed";
    box.setAttribute("role", "alert");
    const name = document.createElement("bdi");
    name.textContent = this.events.nameOf(this.query);
    const text = document.createElement("p");
    text.textContent = error.message;
    box.append(name, text, button("Try again", "reload-file"), button("Close", "close-file"));
    this.view.replaceChildren(box);
  }

  #onClick(event) {
    const link = event.target.closest("a[data-open]");
    if (link) {
      event.preventDefault();
      this.events.onLink(link.dataset.open);
      return;
    }
    const pressed = event.target.closest("button");
    if (!pressed || this.query === null) return;
    if (pressed.dataset.as) this.open(this.query, { as: pressed.dataset.as });
    else if (pressed.dataset.offset !== undefined) this.#openHex(Number(pressed.dataset.offset));
    else this.#act(pressed);
  }

  #act(pressed) {
    switch (pressed.dataset.action) {
      case "close-file":
        this.close();
        break;
      case "reload-file":
        this.reload();
        break;
      case "wrap":
        this.isWrapped = !this.isWrapped;
        this.#wrap(this.isWrapped);
        break;
      case "copy-path":
        copyPath(pressed.dataset.path);
        break;
    }
  }

  #onKey(event) {
    if (event.key === "Enter" && event.target.matches(".file-offset")) {
      event.preventDefault();
      const offset = Number(event.target.value.trim());
      if (Number.isSafeInteger(offset) && offset >= 0) this.#openHex(offset);
      else toast("An offset is a number like 4096 or 0x1000.", "warn");
    } else if (event.key === "Escape") {
      this.close();
    }
  }

  #openHex(offset) {
    this.open(this.query, { as: "hex", offset });
  }

  #wrap(isWrapped) {
    this.view.querySelector(".file-source")?.classList.toggle("is-wrapped", isWrapped);
    this.view.querySelector("[data-action=wrap]")?.setAttribute("aria-pressed", String(isWrapped));
  }
}

/** @param {string} path As shown: hidden characters stay escaped. */
export async function copyPath(path) {
  const isCopied = await copyText(`/workspace/${path}`.replace(/\/$/, ""));
  toast(isCopied ? "Path copied." : "Copying is not allowed here.", isCopied ? "ok" : "warn");
}

function button(text, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "button small";
  made.dataset.action = action;
  made.textContent = text;
  return made;
}

/** A selector that finds the same control in the next rendering of the same file. */
function focusPath(focused) {
  const { as, action, offset } = focused.dataset;
  if (as) return `[data-as="${as}"]`;
  if (action) return `[data-action="${action}"]`;
  if (offset !== undefined) return `.file-pages button:not([disabled])`;
  return `.${focused.classList[0] ?? "file-body"}`;
}
