// Keeps open folders and the open file current: asks again for what the server says has changed,
// and from time to time for all of it where the server cannot tell.

import { parentQuery } from "berth/files-api";

/** While a turn runs and folders are not watched. */
const RUNNING_MS = 1500;
/** While a turn runs and they are: a fallback that should find nothing. */
const WATCHED_MS = 20_000;
const SOON_MS = 250;
/** Asking takes at most this share of the time, so that a huge folder does not keep all busy. */
const MAX_SHARE = 0.2;
const MAX_WAIT_MS = 30_000;

export class FilesRefresher {
  /**
   * @param {import("berth/files-model").FilesModel} model
   * @param {import("berth/files-viewer").FilesViewer} viewer
   * @param {{onTrouble: (message: string) => void}} events `""` when all is well again.
   */
  constructor(model, viewer, events) {
    this.model = model;
    this.viewer = viewer;
    this.events = events;
    this.isActive = false;
    this.isRunning = false;
    this.isWatched = false;
    this.isAsking = false;
    /** Anything may have changed. */
    this.isStale = false;
    /** @type {Set<string>} Folders that have. */
    this.changed = new Set();
    this.failures = 0;
    this.notBefore = 0;
    document.addEventListener("visibilitychange", () => this.soon());
  }

  /** @param {boolean} isActive */
  setActive(isActive) {
    if (isActive === this.isActive) return;
    this.isActive = isActive;
    if (this.model.isLoaded) this.soon();
  }

  /** @param {boolean} isRunning */
  setRunning(isRunning) {
    if (isRunning === this.isRunning) return;
    this.isRunning = isRunning;
    // The end of a turn is asked for once more: its last files may be younger than the last look.
    this.soon();
  }

  /** Whether every change is told. @param {boolean} isWatched */
  setWatched(isWatched) {
    this.isWatched = isWatched;
    this.soon();
  }

  /** Ask shortly; many calls make one question. */
  soon() {
    this.isStale = true;
    if (!this.failures) this.#schedule(SOON_MS);
  }

  /** Ask at once. @param {string[] | null} folders Null for all of them. */
  foldersChanged(folders) {
    if (!folders) this.isStale = true;
    for (const query of folders ?? []) this.changed.add(query);
    if (!this.failures) this.#schedule(0);
  }

  async now() {
    clearTimeout(this.timer);
    if (this.isAsking || !this.#mayAsk) return;
    this.isAsking = true;
    const question = this.#question();
    const startedAt = performance.now();
    try {
      const { folders, file } = await this.model.api.changes(question.folders, question.file);
      this.model.takeChanges(folders);
      if (file) this.viewer.fileIsNow(file);
      if (this.failures) this.events.onTrouble("");
      this.failures = 0;
    } catch (error) {
      this.failures += 1;
      this.isStale = true;
      this.events.onTrouble(error.message);
    } finally {
      this.isAsking = false;
      const took = performance.now() - startedAt;
      const pause = Math.max(this.failures ? RUNNING_MS : 0, took / MAX_SHARE);
      this.notBefore = performance.now() + Math.min(pause * 2 ** this.failures, MAX_WAIT_MS);
      this.#schedule(0);
    }
  }

  /** What to ask for now; the rest of `changed` is being listed anyway and asked for afterwards. */
  #question() {
    const open = this.model.watched();
    const isAll = this.isStale || !this.isWatched || !this.changed.size;
    const folders = isAll ? open : open.filter(({ query }) => this.changed.has(query));
    const file = this.viewer.query;
    const isFileMeant = isAll || (file !== null && this.changed.has(parentQuery(file)));
    this.isStale = false;
    this.changed = new Set([...this.changed].filter((query) => this.model.isLoading(query)));
    return { folders, file: isFileMeant ? file : null };
  }

  get #mayAsk() {
    return this.isActive && this.model.isLoaded && document.visibilityState === "visible";
  }

  /** In `ms` for what is known to be due, later for what might be. */
  #schedule(ms) {
    clearTimeout(this.timer);
    const isDue = this.isStale || this.changed.size > 0;
    if (!this.#mayAsk || !(isDue || this.isRunning)) return;
    const wait = isDue ? ms : this.isWatched ? WATCHED_MS : RUNNING_MS;
    this.timer = setTimeout(() => this.now(), Math.max(wait, this.notBefore - performance.now()));
  }
}
