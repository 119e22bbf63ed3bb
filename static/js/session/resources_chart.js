// Lines as SVG: a spark for the strip, a chart with axes for the panel.

import { formatTime } from "berth/session/format";
import { axisText, axisTop, describe } from "berth/session/resources_model";

const SVG = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (text) made.textContent = text;
  return made;
}

/**
 * Path data of lines whose values hold until the next one; with `isFilled` down to the base.
 * @param {[number, number][][]} lines
 * @param {{from: number, to: number, top: number, width: number, height: number}} box
 */
export function pathOf(lines, { from, to, top, width, height }, isFilled = false) {
  const x = (at) => (((at - from) / Math.max(1, to - from)) * width).toFixed(1);
  const y = (value) => (height - (Math.min(value, top) / top) * height).toFixed(1);
  return lines
    .map((line) => {
      const [[start, first], ...rest] = line;
      const steps = rest.map(([at, value]) => `H${x(at)}V${y(value)}`).join("");
      if (!isFilled) return `M${x(start)} ${y(first)}${steps}`;
      return `M${x(start)} ${height}V${y(first)}${steps}V${height}Z`;
    })
    .join("");
}

export const highestOf = (lines) => Math.max(0, ...lines.flat().map(([, value]) => value));

const SPARK = { width: 56, height: 18 };

export class Spark {
  /** @param {SVGElement} svg */
  constructor(svg) {
    svg.setAttribute("viewBox", `0 -1 ${SPARK.width} ${SPARK.height + 2}`);
    this.area = svg.appendChild(element("path", { class: "chart-area" }));
    this.line = svg.appendChild(element("path", { class: "chart-line" }));
  }

  draw(metric, lines, limit, from, to) {
    const box = { from, to, top: axisTop(metric, highestOf(lines), limit), ...SPARK };
    this.area.setAttribute("d", pathOf(lines, box, true));
    this.line.setAttribute("d", pathOf(lines, box));
  }
}

const LEFT = 56;
const BOTTOM = 18;
const TOP = 6;
const RIGHT = 4;
const HEIGHT = 100;
/** With less width only one end of the time has a label. */
const NARROW_PX = 130;

/** One metric with axes, its limit and a cursor. */
export class Chart {
  constructor(metric) {
    this.metric = metric;
    this.root = document.createElement("figure");
    this.root.className = "resource-chart";
    this.caption = this.root.appendChild(document.createElement("figcaption"));
    this.svg = this.root.appendChild(element("svg", { height: HEIGHT, "aria-hidden": "true" }));
    this.box = null;
    this.width = 0;
  }

  /** @param {{lines: [number, number][][], sample: any, from: number, to: number, caption: string}} shown */
  draw({ lines, sample, from, to, caption }) {
    const { metric, svg } = this;
    this.width = Math.max(160, this.root.clientWidth);
    svg.setAttribute("width", this.width);
    svg.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    const limit = sample ? metric.limit(sample) : null;
    const top = axisTop(metric, highestOf(lines), limit);
    this.box = { from, to, top, width: this.width - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM };
    this.caption.textContent = caption || describe(metric, sample);
    const plot = element("g", { transform: `translate(${LEFT} ${TOP})` });
    this.#axes(plot, limit);
    plot.append(
      element("path", { class: "chart-area", d: pathOf(lines, this.box, true) }),
      element("path", { class: "chart-line", d: pathOf(lines, this.box) }),
    );
    this.cursor = plot.appendChild(
      element("line", { class: "chart-cursor", y1: 0, y2: this.box.height, visibility: "hidden" }),
    );
    svg.replaceChildren(plot);
  }

  #axes(plot, limit) {
    const { from, to, top, width, height } = this.box;
    for (const share of [0, 0.5, 1]) {
      const y = height - share * height;
      const isLimit = share === 1 && limit !== null && top >= limit;
      plot.append(
        element("line", { class: isLimit ? "chart-limit" : "chart-grid", x1: 0, x2: width, y1: y, y2: y }),
        element("text", { x: -8, y: y + 4, "text-anchor": "end" }, axisText(this.metric, share * top)),
      );
    }
    const below = height + BOTTOM - 5;
    plot.append(
      ...(width < NARROW_PX ? [] : [element("text", { x: 0, y: below }, formatTime(from))]),
      element("text", { x: width, y: below, "text-anchor": "end" }, formatTime(to)),
    );
    if (limit && top >= limit) {
      plot.append(element("text", { class: "chart-limit-name", x: width, y: 12, "text-anchor": "end" }, "limit"));
    }
  }

  /** The time under a pointer; null outside the plot. */
  timeAt(clientX) {
    if (!this.box) return null;
    const x = clientX - this.svg.getBoundingClientRect().left - LEFT;
    if (x < -4 || x > this.box.width + 4) return null;
    const share = Math.min(1, Math.max(0, x / this.box.width));
    return this.box.from + share * (this.box.to - this.box.from);
  }

  /** @param {number | null} at @param {any} sample what held then */
  showCursor(at, sample) {
    if (!this.box) return;
    const { from, to, width } = this.box;
    const isShown = at !== null && at >= from && at <= to;
    this.cursor.setAttribute("visibility", isShown ? "visible" : "hidden");
    if (!isShown) return;
    const x = ((at - from) / Math.max(1, to - from)) * width;
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    this.caption.textContent = describe(this.metric, sample);
  }
}
