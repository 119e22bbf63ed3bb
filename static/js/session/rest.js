// A session at rest: the time until its container is suspended, and what a person can do about it.

import { RequestError, post } from "berth/session/requests";
import { describeRest, inMinutes } from "berth/session/rest_words";
import { toast } from "berth/ui";

/** Somebody who types keeps the session awake; told to the server this often. */
const TYPING_EVERY_MS = 60_000;

export class Rest {
  /**
   * @param {HTMLElement} root the header
   * @param {{now(): number, onSession(session: object): void}} options
   */
  constructor(root, { now, onSession }) {
    this.root = root;
    this.now = now;
    this.onSession = onSession;
    this.part = (name) => root.querySelector(`[data-rest=${name}]`);
    this.session = null;
    this.isRunning = false;
    this.typedAt = 0;
    this.#wire();
    setInterval(() => this.render(), 1000);
  }

  #wire() {
    const { keepUrl, resumeUrl, expiryUrl } = this.root.dataset;
    this.part("keep").addEventListener("click", () => this.#ask(keepUrl));
    this.part("resume").addEventListener("click", () => this.#ask(resumeUrl));
    this.part("expiry").addEventListener("change", (event) => {
      this.#ask(expiryUrl, { expires_after_s: event.target.value });
    });
  }

  /** @param {object} session as the server describes it */
  setSession(session) {
    this.session = session;
    const expiry = this.part("expiry");
    const value = String(session.expires_after_s);
    if (![...expiry.options].some((option) => option.value === value)) {
      expiry.add(new Option(inMinutes(session.expires_after_s * 1000), value));
    }
    expiry.value = value;
    this.render();
  }

  /** A turn runs, or waits to: nothing is suspended meanwhile. */
  setRunning(isRunning) {
    this.isRunning = isRunning;
    this.render();
  }

  typed() {
    const isIdle = this.session?.suspends_at != null;
    if (!isIdle || Date.now() - this.typedAt < TYPING_EVERY_MS) return;
    this.typedAt = Date.now();
    // Nobody asked for it, so nobody is told when it fails.
    post(this.root.dataset.keepUrl).then(({ session }) => this.onSession(session), () => {});
  }

  async #ask(url, fields = {}) {
    for (const button of [this.part("keep"), this.part("resume")]) button.disabled = true;
    try {
      this.onSession((await post(url, fields)).session);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      toast(error.message, "danger");
    } finally {
      for (const button of [this.part("keep"), this.part("resume")]) button.disabled = false;
    }
  }

  render() {
    const { kind, text } = describeRest(this.isRunning ? null : this.session, this.now());
    const box = this.part("box");
    box.dataset.kind = kind;
    box.hidden = kind === "none";
    const label = this.part("text");
    if (label.textContent !== text) label.textContent = text;
    this.part("keep").hidden = kind !== "waits" && kind !== "soon";
    this.part("resume").hidden = kind !== "suspended" && kind !== "archived";
    this.part("resume").textContent = kind === "archived" ? "Restore" : "Resume";
    this.part("download").hidden = kind !== "archived";
  }
}
