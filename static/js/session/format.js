// Figures and endings in words, the same on cards and in the terminal.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function formatBytes(bytes) {
  let value = bytes;
  let unit = 0;
  // What would be shown as 1024 of a unit is 1 of the next.
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const text = unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1).replace(/\.0$/, "");
  return `${text} ${UNITS[unit]}`;
}

/** 0.25 s, 1.2 s, 42 s, 3:07, 1:02:45 */
export function formatDuration(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return `${seconds.toFixed(2)} s`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  return formatClock(ms);
}

/** A running figure that changes once a second: 0:07, 1:02:45 */
export function formatClock(ms) {
  const total = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const tail = `${String(s).padStart(2, "0")}`;
  return h ? `${h}:${String(m).padStart(2, "0")}:${tail}` : `${m}:${tail}`;
}

export function formatNumber(value) {
  if (value < 1000) return `${value}`;
  if (value < 99_950) return `${(value / 1000).toFixed(1)}k`;
  if (value < 999_500) return `${Math.round(value / 1000)}k`;
  return `${(value / 1e6).toFixed(1)}M`;
}

export function formatTime(ms) {
  return new Date(ms).toLocaleTimeString("en-GB");
}

/**
 * How a call ended.
 * @param {{kind: string, exit_code?: number, signal?: string, limit_bytes?: number,
 *          peak_bytes?: number, timeout_s?: number}} ending
 * @returns {{text: string, level: "ok" | "warn" | "danger"}}
 */
export function describeEnding(ending) {
  switch (ending.kind) {
    case "exit": {
      const text = `exit ${ending.exit_code}`;
      if (ending.oom_kills) {
        const figures = sizes(ending.limit_bytes, "peak", ending.peak_bytes);
        return { text: `${text}, a process ran out of memory${figures}`, level: "danger" };
      }
      return { text, level: ending.exit_code === 0 ? "ok" : "danger" };
    }
    case "signal":
      return { text: `killed by ${ending.signal ?? "a signal"}`, level: "danger" };
    case "timeout":
      return {
        text: ending.timeout_s ? `timed out after ${formatLimit(ending.timeout_s)}` : "timed out",
        level: "warn",
      };
    case "stopped":
      return { text: "stopped", level: "warn" };
    case "oom":
      return { text: `out of memory${sizes(ending.limit_bytes, "peak", ending.peak_bytes)}`, level: "danger" };
    case "disk_full":
      return {
        text: `disk full${sizes(ending.limit_bytes, "used", ending.used_bytes)}`,
        level: "danger",
      };
    case "container_lost":
      return { text: "container lost", level: "danger" };
    default:
      return { text: String(ending.kind), level: "danger" };
  }
}

/**
 * How a person's shell ended, as sentences: one that was ended with a reason needs no second word.
 * @param {object} ending @param {string} reason
 * @returns {{text: string, level: "ok" | "warn" | "danger"}}
 */
export function describeShellEnd(ending, reason = "") {
  const { text, level } = describeEnding(ending);
  if (ending.kind === "container_lost") return { text: `ended. ${reason || "The container is gone."}`, level };
  if (ending.kind === "stopped" && reason) return { text: `ended. ${reason}`, level };
  return { text: `ended: ${text}. ${reason}`.trim(), level };
}

function sizes(limit, name, figure) {
  const parts = [];
  if (limit) parts.push(`limit ${formatBytes(limit)}`);
  if (figure) parts.push(`${name} ${formatBytes(figure)}`);
  return parts.length ? ` (${parts.join(", ")})` : "";
}

/** A time limit: 5 s, 0.5 s, 120 s */
export function formatLimit(seconds) {
  return seconds < 600 ? `${seconds} s` : formatClock(seconds * 1000);
}

const INVISIBLE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** The first line of a command, and how many follow it. */
export function commandSummary(command, max = 120) {
  const lines = command.trim().split("\n");
  // A here-document or a script reads best by its first line that says something.
  const first = (lines.find((line) => line.trim()) ?? "").replace(/\t/g, " ").replace(INVISIBLE, "");
  return {
    text: first.length > max ? `${first.slice(0, max - 1)}…` : first,
    more: lines.length - 1,
  };
}
