// A session's rest in words.

import { formatBytes, formatClock } from "berth/session/format";

const SOON_MS = 2 * 60_000;
/** Of a short time until the rest only its end is soon. */
const SOON_SHARE = 0.25;
const MINUTE_MS = 60_000;
/** What keeps a session that nobody uses. @type {Record<string, string>} */
const KEPT_BY = {
  shell: "Kept by a program in a shell",
  program: "Kept by a program in the background",
};

/**
 * What is to be said of a session's rest.
 * @param {{container_state: string, suspends_at: number | null, archive_bytes: number,
 *          expires_after_s: number, status: string} | null} session as the server describes it
 * @param {number} now server time in ms
 * @param {string} keptBy what works in it although nobody uses it: "shell", "program" or nothing
 * @returns {{kind: "none" | "kept" | "waits" | "soon" | "suspended" | "archived", text: string}}
 */
export function describeRest(session, now, keptBy = "") {
  if (!session) return { kind: "none", text: "" };
  if (session.container_state === "suspended") return { kind: "suspended", text: "Suspended" };
  if (session.container_state === "expired") {
    // The log tells of it before the size is known.
    const size = session.archive_bytes ? `, ${formatBytes(session.archive_bytes)}` : "";
    return { kind: "archived", text: `Archived${size}` };
  }
  if (session.suspends_at === null) return { kind: "none", text: "" };
  if (KEPT_BY[keptBy]) return { kind: "kept", text: KEPT_BY[keptBy] };
  const left = session.suspends_at - now;
  if (left < Math.min(SOON_MS, session.expires_after_s * 1000 * SOON_SHARE)) {
    return { kind: "soon", text: `Suspends in ${formatClock(Math.max(0, left))}` };
  }
  return { kind: "waits", text: `Suspends in ${inMinutes(left)}` };
}

/** Whole minutes, hours or days. */
export function inMinutes(ms) {
  const minutes = Math.ceil(ms / MINUTE_MS);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}
