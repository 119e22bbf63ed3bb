// A session's rest in words.

import { formatBytes, formatClock } from "berth/session/format";

const SOON_MS = 2 * 60_000;
const MINUTE_MS = 60_000;

/**
 * What is to be said of a session's rest.
 * @param {{container_state: string, suspends_at: number | null, archive_bytes: number,
 *          status: string} | null} session as the server describes it
 * @param {number} now server time in ms
 * @returns {{kind: "none" | "waits" | "soon" | "suspended" | "archived", text: string}}
 */
export function describeRest(session, now) {
  if (!session) return { kind: "none", text: "" };
  if (session.container_state === "suspended") return { kind: "suspended", text: "Suspended" };
  if (session.container_state === "expired") {
    return { kind: "archived", text: `Archived, ${formatBytes(session.archive_bytes)}` };
  }
  if (session.suspends_at === null) return { kind: "none", text: "" };
  const left = session.suspends_at - now;
  if (left < SOON_MS) return { kind: "soon", text: `Suspends in ${formatClock(Math.max(0, left))}` };
  return { kind: "waits", text: `Suspends in ${inMinutes(left)}` };
}

/** Whole minutes, hours or days. */
export function inMinutes(ms) {
  const minutes = Math.ceil(ms / MINUTE_MS);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}
