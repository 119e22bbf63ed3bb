// Sizes, times and icons as the tree shows them.

import { formatBytes } from "berth/session/format";

export { formatBytes as formatSize };

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

/** The time of day for today, the day for all else. @param {number} seconds Unix time */
export function formatTime(seconds) {
  const date = new Date(seconds * 1000);
  const now = new Date();
  if (date.toDateString() === now.toDateString()) return clock.format(date);
  return date.getFullYear() === now.getFullYear() ? day.format(date) : dayOfYear.format(date);
}

/** @param {number} seconds Unix time */
export function formatFullTime(seconds) {
  return full.format(new Date(seconds * 1000));
}

const SVG = "http://www.w3.org/2000/svg";

/** A symbol of the panel's sprite. @param {string} name @param {string} className */
export function icon(name, className = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `fi ${className}`.trim());
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#fi-${name}`);
  svg.append(use);
  return svg;
}

/** @param {string} tag @param {string} className @param {string} text */
export function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  if (text) made.textContent = text;
  return made;
}
