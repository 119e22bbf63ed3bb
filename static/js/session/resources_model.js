// What the container used over time: samples in, lines and words out. Pure.

import { formatBytes } from "berth/session/format";

/** The log tells only what changed, so a figure holds until the next one or the end of what ran. */
const MAX_SAMPLES = 6000;
const WARN_SHARE = 0.8;
const DANGER_SHARE = 0.95;
const NICE = [1, 2, 5, 10];

const percent = (value) => `${Math.round(value)} %`;

/**
 * @typedef {{name: string, label: string, value(sample: any): number | null,
 *            limit(sample: any): number | null, format(value: number): string,
 *            binary: boolean, canWarn: boolean}} Metric
 */

/**
 * What an axis says at `value`: of what is told in whole numbers nothing between two of them.
 * @param {Metric} metric @param {number} value
 */
export const axisText = (metric, value) =>
  metric.binary || Number.isInteger(value) ? metric.format(value) : "";

/** @type {Metric[]} */
export const METRICS = [
  {
    name: "cpu",
    label: "CPU",
    value: (sample) => sample.cpu_percent,
    limit: () => 100,
    format: percent,
    binary: false,
    // Work that uses all it may have is no trouble.
    canWarn: false,
  },
  {
    name: "memory",
    label: "Memory",
    value: (sample) => sample.memory_bytes,
    limit: (sample) => sample.memory_limit_bytes,
    format: formatBytes,
    binary: true,
    canWarn: true,
  },
  {
    name: "pids",
    label: "Processes",
    value: (sample) => sample.pids,
    limit: (sample) => sample.pids_limit,
    format: String,
    binary: false,
    canWarn: true,
  },
  {
    name: "disk",
    label: "Disk",
    value: (sample) => sample.disk_used_bytes,
    limit: (sample) => sample.disk_limit_bytes,
    format: formatBytes,
    binary: true,
    canWarn: true,
  },
];

export class ResourceHistory {
  constructor() {
    /** @type {{at: number, sample: any}[]} a null sample: nothing is known from here on */
    this.entries = [];
    /** What is recorded: the turn, and shells by their ids. @type {Set<string>} */
    this.running = new Set();
    /** There is no container, or a new one of which nothing is known: what holds now is nothing. */
    this.isAtRest = false;
    this.isGone = false;
  }

  /** @returns whether the event had anything to say about resources */
  add(event) {
    if (event.type === "container.state") {
      this.isGone = event.state !== "connected";
      this.isAtRest ||= this.isGone;
      return true;
    }
    if (event.type === "resources") {
      this.entries.push({ at: event.at, sample: event });
      this.isAtRest = this.isGone; // the last figures may come behind the container's end
    } else if (!this.#hasEnded(event) || !this.latest) return false;
    else this.entries.push({ at: event.at, sample: null });
    if (this.entries.length > MAX_SAMPLES) this.#thin();
    return true;
  }

  /** Whether with this event the last of what ran is over. */
  #hasEnded({ type, shell_id: shell = "turn" }) {
    if (type === "turn.started" || type === "shell.opened") this.running.add(shell);
    if (type !== "turn.ended" && type !== "shell.ended") return false;
    this.running.delete(shell);
    return this.running.size === 0;
  }

  /** Of the older half every second one goes. */
  #thin() {
    const half = this.entries.length / 2;
    this.entries = this.entries.filter(({ sample }, i) => i >= half || i % 2 === 0 || sample === null);
  }

  /** The newest figures, also those of a turn that ended; null before any. */
  get latest() {
    return this.entries.findLast(({ sample }) => sample !== null) ?? null;
  }

  /** What the container uses as far as is known; null when it is not the one of the figures. */
  get current() {
    return this.isAtRest ? null : this.latest;
  }

  get first() {
    return this.entries[0] ?? null;
  }

  /** What held at that time; null where nothing is known. */
  sampleAt(at) {
    return this.entries.findLast((entry) => entry.at <= at)?.sample ?? null;
  }

  /** The nearest time before (-1) or after (1) `at` for which something was recorded. */
  step(at, direction) {
    const known = this.entries.filter(({ sample }) => sample !== null);
    const found = direction < 0 ? known.findLast((e) => e.at < at) : known.find((e) => e.at > at);
    return found?.at ?? at;
  }

  /**
   * The lines of one metric between two times: lists of `[at, value]`, each value holding until
   * the next one.
   * @returns {[number, number][][]}
   */
  lines(metric, from, to) {
    const lines = [];
    let line = null;
    let before = null;
    const point = (at, value) => {
      if (value === null || value === undefined) {
        if (line) line.push([at, line.at(-1)[1]]);
        line = null;
      } else {
        if (!line) lines.push((line = []));
        line.push([at, value]);
      }
    };
    for (const { at, sample } of this.entries) {
      const value = sample === null ? null : metric.value(sample);
      if (at < from) before = value;
      else if (at <= to) {
        if (before !== null) point(from, before);
        before = null;
        point(at, value);
      }
    }
    if (!line && before !== null) point(from, before);
    if (line) line.push([to, line.at(-1)[1]]);
    return lines;
  }
}

/** The top of an axis: the limit when use comes near it, else a round figure above the use. */
export function axisTop(metric, highest, limit) {
  if (limit && highest > limit / 2) return Math.max(limit, highest);
  const least = metric.binary ? 1 << 20 : 5;
  const wanted = Math.max(highest * 1.25, least);
  const base = metric.binary ? 2 ** (10 * Math.floor(Math.log2(wanted) / 10)) : 1;
  const scale = 10 ** Math.floor(Math.log10(wanted / base));
  const step = NICE.find((nice) => nice * scale * base >= wanted);
  const top = step * scale * base;
  return limit && top > limit / 2 ? limit : top;
}

/** @returns {"ok" | "warn" | "danger"} */
export function levelOf(metric, sample) {
  const [value, limit] = [metric.value(sample), metric.limit(sample)];
  if (!metric.canWarn || value === null || !limit || value < limit * WARN_SHARE) return "ok";
  return value < limit * DANGER_SHARE ? "warn" : "danger";
}

/** "Memory 212 MiB of 1 GiB", "CPU 12 %", "Disk not known" */
export function describe(metric, sample) {
  const value = sample ? metric.value(sample) : null;
  if (value === null || value === undefined) return `${metric.label} not known`;
  const limit = metric.limit(sample);
  const of = limit && metric.name !== "cpu" ? ` of ${metric.format(limit)}` : "";
  return `${metric.label} ${metric.format(value)}${of}`;
}
