// A session at rest: the time until its container is suspended, and what a person can do about it.

import { RequestError, post } from "berth/session/requests";
import { describeRest, inMinutes } from "berth/session/rest_words";
import { toast } from "berth/ui";

/** Somebody who types keeps the session awake; told to the server this often. */
const TYPING_EVERY_MS = 60_000;
/** Keep comes to where Resume was: not under the second click of a double one. */
const KEEP_LATER_MS = 1500;
const AT_REST = new Set(["suspended", "archived"]);
const AT_WORK = new Set(["running", "starting"]);

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
    this.isRunning = this.isGone = false;
    this.keptBy = "";
    this.typedAt = 0;
    this.rousedAt = -KEEP_LATER_MS;
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

  /**
   * What the log says is known at once; the server's description of the session comes seconds later.
   * @param {import("berth/session/protocol").SessionEvent} event
   */
  write(event) {
    const { session } = this;
    if (!session) return;
    if (event.type === "container.state") session.container_state = event.state;
    else if (event.type === "session.status") session.status = event.status;
    else return;
    const mayRest = session.container_state === "connected" && !AT_WORK.has(session.status);
    const rests = mayRest && session.expires_after_s > 0;
    session.suspends_at = rests ? event.at + session.expires_after_s * 1000 : null;
    this.render();
  }

  /** @param {import("berth/session/state").SessionState} state */
  update(state) {
    // A turn runs, or waits to: nothing is suspended meanwhile.
    this.isRunning = state.running !== null || state.queue.length > 0;
    this.keptBy = state.keptBy;
    this.render();
  }

  /** Deleted elsewhere: there is nothing to keep, and no time runs. */
  setGone() {
    this.isGone = true;
    this.part("expiry").disabled = true;
    this.render();
  }

  typed() {
    const isIdle = !this.isGone && this.session?.suspends_at != null;
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
    const isQuiet = !this.isRunning && !this.isGone;
    const { kind, text } = describeRest(isQuiet ? this.session : null, this.now(), this.keptBy);
    const box = this.part("box");
    if (AT_REST.has(box.dataset.kind) && !AT_REST.has(kind)) this.#rouse();
    box.dataset.kind = kind;
    box.hidden = kind === "none";
    const label = this.part("text");
    if (label.textContent !== text) label.textContent = text;
    const isRoused = performance.now() - this.rousedAt < KEEP_LATER_MS;
    this.part("keep").hidden = isRoused || (kind !== "waits" && kind !== "soon");
    this.part("resume").hidden = kind !== "suspended" && kind !== "archived";
    this.part("resume").textContent = kind === "archived" ? "Restore" : "Resume";
    this.part("download").hidden = kind !== "archived";
  }

  #rouse() {
    this.rousedAt = performance.now();
    setTimeout(() => this.render(), KEEP_LATER_MS);
  }
}
