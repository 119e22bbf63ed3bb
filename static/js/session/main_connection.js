// The line that says that the page is cut off, and when it tries again.

import { CLOSE_NOT_SIGNED_IN } from "berth/session/protocol";

/** A short cut is mended before anyone needs to read of it. */
const QUIET_MS = 400;

export class ConnectionBanner {
  /** @param {HTMLElement} banner @param {{onRetry(): void}} handlers */
  constructor(banner, { onRetry }) {
    this.banner = banner;
    this.text = banner.querySelector("[data-connection=text]");
    this.button = banner.querySelector("[data-connection=retry]");
    this.link = banner.querySelector("[data-connection=link]");
    this.retryAt = 0;
    this.wasOpen = false;
    this.button.addEventListener("click", onRetry);
  }

  /** @param {{name: string, retryAt?: number, reason?: string, code?: number}} state */
  update(state) {
    clearInterval(this.timer);
    clearTimeout(this.delay);
    if (state.name === "open") {
      this.wasOpen = true;
      this.banner.hidden = true;
    } else if (state.name === "connecting") {
      this.#say("Connecting…");
      this.button.hidden = true;
      if (!this.wasOpen) this.delay = setTimeout(() => this.#show(), QUIET_MS * 3);
    } else if (state.name === "waiting") {
      this.retryAt = state.retryAt;
      this.button.hidden = false;
      this.#count();
      this.timer = setInterval(() => this.#count(), 250);
      this.delay = setTimeout(() => this.#show(), QUIET_MS);
    } else this.#ended(state);
  }

  #count() {
    const seconds = Math.max(1, Math.ceil((this.retryAt - Date.now()) / 1000));
    this.#say(`Disconnected. Reconnecting in ${seconds} s`);
  }

  #ended({ reason, code }) {
    this.#say(reason);
    this.button.hidden = true;
    this.link.hidden = false;
    this.link.textContent = code === CLOSE_NOT_SIGNED_IN ? "Sign in" : "All sessions";
    if (code === CLOSE_NOT_SIGNED_IN) this.link.href = location.pathname;
    this.#show();
  }

  #say(text) {
    if (this.text.textContent !== text) this.text.textContent = text;
  }

  #show() {
    this.banner.hidden = false;
  }
}
