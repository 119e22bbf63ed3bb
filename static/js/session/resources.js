// The strip under the terminal: what the container uses now, and as charts when it is opened.

import { formatBytes, formatTime } from "berth/session/format";
import { Chart, Spark } from "berth/session/resources_chart";
import { METRICS, ResourceHistory, describe, levelOf } from "berth/session/resources_model";

const SPARK_MS = 3 * 60_000;
/** A younger history fills its spark only in part. */
const SHORT_SPARK_MS = 30_000;
const RECENT_MS = 10 * 60_000;
const REDRAW_MS = 1000;
const GONE = new Set(["suspended", "expired", "failed", "disconnected"]);

export class ResourcePanel {
  /**
   * @param {HTMLElement} root
   * @param {{now(): number, announce(text: string): void}} options `now` is the server's clock
   */
  constructor(root, { now, announce }) {
    this.root = root;
    this.now = now;
    this.announce = announce;
    this.history = new ResourceHistory();
    this.isRunning = false;
    this.isLive = false;
    this.range = "recent";
    /** The time that is pointed at; null for none. */
    this.cursor = null;
    this.frame = 0;
    this.levels = new Map();
    this.button = root.querySelector("[data-resources=open]");
    this.panel = root.querySelector("[data-resources=panel]");
    this.readout = root.querySelector("[data-resources=readout]");
    this.plots = root.querySelector("[data-resources=plots]");
    this.items = METRICS.map((metric) => {
      const item = root.querySelector(`[data-metric=${metric.name}]`);
      const value = item.querySelector("b");
      const of = document.createElement("i");
      value.after(of);
      return { metric, item, value, of, spark: new Spark(item.querySelector("svg")) };
    });
    this.charts = METRICS.map((metric) => new Chart(metric));
    this.plots.append(...this.charts.map((chart) => chart.root));
    this.#wire();
    setInterval(() => this.isRunning && this.#redrawSoon(), REDRAW_MS);
  }

  #wire() {
    this.button.addEventListener("click", () => this.#open(this.panel.hidden));
    this.root.querySelector("[data-resources=close]").addEventListener("click", () => this.#open(false));
    this.root.addEventListener("keydown", (event) => this.#pressed(event));
    for (const range of this.root.querySelectorAll("[data-range]")) {
      range.addEventListener("click", () => {
        this.range = range.dataset.range;
        this.#redrawSoon();
      });
    }
    this.plots.addEventListener("pointermove", (event) => {
      const chart = this.charts.find(({ root }) => root.contains(event.target));
      this.#point(chart ? chart.timeAt(event.clientX) : null);
    });
    this.plots.addEventListener("pointerleave", () => this.#point(null));
    this.plots.addEventListener("blur", () => this.#point(null));
    new ResizeObserver(() => this.#redrawSoon()).observe(this.root);
  }

  #open(isOpen) {
    this.panel.hidden = !isOpen;
    this.button.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.plots.focus({ preventScroll: true });
    else this.button.focus({ preventScroll: true });
    this.#redrawSoon();
  }

  #pressed(event) {
    if (event.key === "Escape" && !this.panel.hidden) {
      event.stopPropagation();
      this.#open(false);
    }
    if (event.target !== this.plots) return;
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!direction) return;
    event.preventDefault();
    const [from, to] = this.#span();
    const at = this.history.step(this.cursor ?? to, direction);
    this.#point(Math.min(to, Math.max(from, at)));
  }

  #point(at) {
    if (at === this.cursor) return;
    this.cursor = at;
    this.#redrawSoon();
  }

  /** @param {any[]} events of the log, in order */
  write(events) {
    let isNew = false;
    for (const event of events) isNew = this.history.add(event) || isNew;
    if (isNew && this.isLive) this.#redrawSoon();
  }

  /** @param {import("berth/session/state").SessionState} state */
  update(state) {
    this.isLive = true;
    this.isRunning = state.running !== null || state.openShells.size > 0;
    const isGone = GONE.has(state.containerState);
    this.root.dataset.state = isGone ? "gone" : this.isRunning ? "live" : "past";
    this.#redrawSoon();
  }

  #redrawSoon() {
    if (this.frame || document.hidden) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.#drawStrip();
      if (!this.panel.hidden) this.#drawPanel();
    });
  }

  /** Up to when the newest figures hold: now, or the end of what ran last. */
  #end() {
    return this.isRunning ? this.now() : (this.history.entries.at(-1)?.at ?? this.now());
  }

  #drawStrip() {
    const { latest, current } = this.history;
    const to = this.#end();
    const start = this.history.first?.at ?? to;
    const from = Math.min(to - SHORT_SPARK_MS, Math.max(start, to - SPARK_MS));
    for (const { metric, item, value, of, spark } of this.items) {
      const figure = current && metric.value(current.sample);
      const limit = latest && metric.limit(latest.sample);
      const isKnown = figure !== null && figure !== undefined;
      value.textContent = isKnown ? metric.format(figure) : "–";
      of.textContent = isKnown && limit && metric.name !== "cpu" ? ` / ${metric.format(limit)}` : "";
      const level = current ? levelOf(metric, current.sample) : "ok";
      item.dataset.level = level;
      this.#warn(metric, level, current?.sample);
      spark.draw(metric, this.history.lines(metric, from, to), limit, from, to);
    }
    const words = latest ? METRICS.map((metric) => describe(metric, latest.sample)).join(", ") : "nothing recorded yet";
    const when = !latest || this.root.dataset.state === "live" ? "" : `, as of ${formatTime(latest.at)}`;
    const rest = latest && !current ? `${this.#absence}, last ` : "";
    this.button.setAttribute("aria-label", `Resources: ${rest}${words}${when}`);
    this.button.title = latest ? `${rest}${words}${when}` : "Figures appear when something runs";
  }

  /** Why there is no figure of now. */
  get #absence() {
    return this.history.isGone ? "at rest" : "not known yet";
  }

  #warn(metric, level, sample) {
    const before = this.levels.get(metric.name);
    this.levels.set(metric.name, level);
    const isWorse = level === "danger" || (level === "warn" && before === "ok");
    if (this.isRunning && before && level !== before && isWorse) {
      this.announce(`Near its limit: ${describe(metric, sample)}`);
    }
  }

  #span() {
    const to = this.#end();
    const start = this.history.first?.at ?? to - RECENT_MS;
    const from = this.range === "all" ? start : Math.max(start, to - RECENT_MS);
    return [Math.min(from, to - 10_000), to];
  }

  #drawPanel() {
    const [from, to] = this.#span();
    const latest = this.history.latest;
    const pointed = this.cursor === null ? null : this.history.sampleAt(this.cursor);
    for (const chart of this.charts) {
      const lines = this.history.lines(chart.metric, from, to);
      const caption = latest && !this.history.current ? `${chart.metric.label} ${this.#absence}` : "";
      chart.draw({ lines, sample: latest?.sample ?? null, from, to, caption });
      chart.showCursor(this.cursor, pointed);
    }
    for (const range of this.root.querySelectorAll("[data-range]")) {
      range.setAttribute("aria-pressed", String(range.dataset.range === this.range));
    }
    this.readout.textContent = this.#readoutText(latest, pointed);
  }

  #readoutText(latest, pointed) {
    if (!latest) return "Nothing is recorded yet.";
    if (this.cursor !== null) {
      const words = pointed ? METRICS.map((metric) => describe(metric, pointed)).join(" · ") : "nothing ran";
      return `${formatTime(this.cursor)}  ${words}`;
    }
    const { memory_peak_bytes: peak } = latest.sample;
    const highest = peak ? ` Highest memory use: ${formatBytes(peak)}.` : "";
    const asOf = this.history.current ? "As of" : "Last known at";
    const when = this.root.dataset.state === "live" ? "Now." : `${asOf} ${formatTime(latest.at)}.`;
    return when + highest;
  }
}
