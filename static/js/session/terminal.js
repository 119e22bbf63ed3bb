// The Terminal tab: the screen of all calls, a second one for a single call, and their toolbar.

import { SessionSocket } from "berth/session/socket";
import { commandSummary } from "berth/session/format";
import { plainText } from "berth/session/escape";
import { TerminalSearch } from "berth/session/terminal_search";
import { TerminalView } from "berth/session/terminal_view";
import { copyText, toast } from "berth/ui";

export class TerminalPanel {
  /**
   * @param {HTMLElement} panel
   * @param {{socketUrl: string, callUrl(callId: string): string}} options
   */
  constructor(panel, { socketUrl, callUrl }) {
    this.panel = panel;
    this.socketUrl = socketUrl;
    this.callUrl = callUrl;
    this.find = (name) => panel.querySelector(`[data-terminal=${name}]`);
    this.host = panel.querySelector("#terminal");
    this.oneHost = panel.querySelector("#terminal-one");
    this.all = this.#view(this.host);
    /** @type {{view: TerminalView, socket: SessionSocket, callId: string} | null} */
    this.one = null;
    /** Calls by id, for names and for where their output begins. */
    this.calls = new Map();
    this.search = new TerminalSearch(panel.querySelector(".terminal-search"), () => this.shown);
    this.#wire();
    this.refresh();
  }

  /** The screen that is shown. */
  get shown() {
    return this.one?.view ?? this.all;
  }

  #view(host) {
    return new TerminalView(host, {
      onScroll: () => this.refresh(),
      onSearchResults: (results) => this.search.showResults(results),
    });
  }

  #wire() {
    this.find("search").addEventListener("click", () => this.search.open());
    this.find("copy").addEventListener("click", () => this.#copy());
    this.find("follow").addEventListener("click", () => this.#toggleFollow());
    this.find("latest").addEventListener("click", () => this.shown.follow());
    this.find("fullscreen").addEventListener("click", () => this.#toggleFullscreen());
    this.find("show-all").addEventListener("click", () => this.showAll());
    this.panel.addEventListener("keydown", (event) => this.#key(event));
    // For whoever wants the text as it is shown, scrollback included (tests, extensions):
    // dispatch `berth:export` on #terminal with `detail.resolve`.
    this.host.addEventListener("berth:export", (event) => event.detail.resolve(this.all.text()));
    document.addEventListener("fullscreenchange", () => this.#fullscreenChanged());
    document.addEventListener("berth:theme", () => {
      this.all.applyTheme();
      this.one?.view.applyTheme();
    });
    let frame = 0;
    new ResizeObserver(() => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => this.fit());
    }).observe(this.panel.querySelector(".terminal-screens"));
  }

  fit() {
    this.shown.fit();
    this.refresh();
  }

  /** @param {object[]} events @param {() => void} done when they are on the screen */
  write(events, done) {
    for (const event of events) if (event.type === "call.started") this.calls.set(event.call_id, event);
    this.panel.classList.toggle("is-empty", this.calls.size === 0);
    this.all.write(events, done);
  }

  /** Show where a call begins; false when its lines are gone from the scrollback. */
  jumpTo(callId) {
    if (this.one && this.one.callId !== callId) this.showAll();
    if (this.shown.jumpTo(callId)) return true;
    if (!this.calls.has(callId)) return false;
    toast("Its lines have left the scrollback; here is this command alone.", "info");
    this.showOnly(callId);
    return true;
  }

  /** Only one call's bytes, read from the log a second time. */
  showOnly(callId) {
    const started = this.calls.get(callId);
    if (!started || this.one?.callId === callId) return;
    this.showAll();
    this.host.classList.add("is-behind");
    this.oneHost.hidden = false;
    const view = this.#view(this.oneHost);
    const socket = new SessionSocket(
      this.socketUrl,
      {
        onEvents: (events) => {
          view.write(events, () => socket.ack(events[events.length - 1].seq));
          if (events.some((event) => event.type === "call.ended")) view.sink.flush(() => socket.close());
        },
      },
      { after: started.seq - 1, callId },
    );
    this.one = { view, socket, callId };
    this.find("filter").hidden = false;
    this.find("filter-name").textContent = commandSummary(started.command, 60).text;
    socket.connect();
    this.fit();
    this.onFilter?.(callId);
  }

  showAll() {
    if (!this.one) return;
    this.one.socket.close();
    this.one.view.dispose();
    this.one = null;
    this.oneHost.hidden = true;
    this.oneHost.replaceChildren();
    this.host.classList.remove("is-behind");
    this.find("filter").hidden = true;
    this.fit();
    this.onFilter?.("");
  }

  async #copy() {
    const { terminal } = this.shown;
    if (terminal.hasSelection()) await this.#copied(terminal.getSelection(), "Selection copied.");
    else if (this.one) await this.copyOutput(this.one.callId);
    else await this.#copied(this.all.text(), "All of the terminal copied.");
  }

  async copyCommand(callId) {
    const call = this.calls.get(callId);
    if (call) await this.#copied(call.command, "Command copied.");
  }

  /** A call's whole output as plain text. */
  async copyOutput(callId) {
    const response = await fetch(this.callUrl(callId), { headers: { Accept: "application/json" } });
    if (!response.ok) {
      toast("The output could not be fetched. Try again in a moment.", "danger");
      return;
    }
    await this.#copied(plainText(await response.text()), "Output copied.");
  }

  async #copied(text, message) {
    const isCopied = await copyText(text);
    toast(isCopied ? message : "Copying is not allowed here; select the text instead.", isCopied ? "ok" : "warn");
  }

  #toggleFollow() {
    if (this.shown.isFollowing) this.shown.pause();
    else this.shown.follow();
  }

  async #toggleFullscreen() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else if (this.panel.classList.contains("is-fullscreen")) this.#fallback(false);
    else {
      try {
        await this.panel.requestFullscreen();
      } catch {
        this.#fallback(true); // not offered (iOS, an embedded page): fill the window instead
      }
    }
  }

  #fallback(isOn) {
    this.panel.classList.toggle("is-fullscreen", isOn);
    this.#fullscreenChanged();
  }

  #fullscreenChanged() {
    const isFull = document.fullscreenElement === this.panel || this.panel.classList.contains("is-fullscreen");
    this.find("fullscreen").setAttribute("aria-pressed", String(isFull));
    requestAnimationFrame(() => this.fit());
  }

  #key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f" && !event.altKey) {
      if (event.target.closest?.(".terminal-search")) return; // a second time: the browser's own
      event.preventDefault();
      this.search.open();
    } else if (event.key === "Escape" && this.panel.classList.contains("is-fullscreen")) {
      event.stopPropagation();
      this.#fallback(false);
    } else if (event.target.closest?.(".terminal-screens") && event.key.toLowerCase() === "n") {
      if (!event.ctrlKey && !event.metaKey && !event.altKey) this.search.step(event.shiftKey);
    }
  }

  /** Toolbar and the button with the number of new lines, after whatever moved. */
  refresh() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.#refresh();
    });
  }

  #refresh() {
    const view = this.shown;
    const isFollowing = view.isFollowing;
    if (isFollowing) view.newLines = 0;
    const follow = this.find("follow");
    follow.setAttribute("aria-pressed", String(isFollowing));
    follow.title = isFollowing ? "Following. Press to pause" : "Paused. Press to follow";
    const latest = this.find("latest");
    latest.hidden = isFollowing;
    const lines = view.newLines;
    latest.querySelector("span").textContent = lines ? `${lines} new line${lines === 1 ? "" : "s"}` : "Latest";
  }
}
