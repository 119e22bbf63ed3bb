// Keeps open folders and the open file current, with one question for all of them at a time.

const RUNNING_MS = 1500;
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
    this.isAsking = false;
    this.isStale = false;
    this.failures = 0;
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

  /** Ask shortly; many calls make one question. */
  soon() {
    this.isStale = true;
    if (!this.failures) this.#schedule(SOON_MS);
  }

  async now() {
    clearTimeout(this.timer);
    if (this.isAsking || !this.#mayAsk) return;
    this.isAsking = true;
    this.isStale = false;
    const startedAt = performance.now();
    try {
      const { folders, file } = await this.model.api.changes(this.model.watched(), this.viewer.query);
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
      const pause = Math.max(RUNNING_MS, (performance.now() - startedAt) / MAX_SHARE);
      this.#schedule(Math.min(pause * 2 ** this.failures, MAX_WAIT_MS));
    }
  }

  get #mayAsk() {
    return this.isActive && this.model.isLoaded && document.visibilityState === "visible";
  }

  #schedule(ms) {
    clearTimeout(this.timer);
    if (this.#mayAsk && (this.isRunning || this.isStale)) this.timer = setTimeout(() => this.now(), ms);
  }
}
