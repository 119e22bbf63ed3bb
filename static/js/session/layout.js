// Panes, tabs and the splitter; which of them is on view.

const SPLIT_KEY = "berth-split";
const SPLIT = { min: 25, max: 70, step: 2 };
const NARROW = matchMedia("(max-width: 760px)");

export class Layout {
  /**
   * @param {HTMLElement} root
   * @param {{onShow(panel: "terminal" | "files" | "shell" | ""): void}} handlers
   */
  constructor(root, handlers) {
    this.root = root;
    this.handlers = handlers;
    this.splitter = root.querySelector(".splitter");
    this.tabs = [...root.querySelectorAll(".tabs [role=tab]")];
    this.viewButtons = [...root.querySelectorAll("[data-view-button]")];
    this.#wireTabs();
    this.#wireSplitter();
    this.show("timeline");
    NARROW.addEventListener("change", () => this.#changed());
  }

  get isNarrow() {
    return NARROW.matches;
  }

  /** The panel of the right side that can be seen now, or "" for none. */
  get visiblePanel() {
    if (this.isNarrow && this.root.dataset.view === "timeline") return "";
    return this.root.dataset.panel;
  }

  /** @param {"timeline" | "terminal" | "files" | "shell"} view */
  show(view) {
    this.root.dataset.view = view;
    if (view !== "timeline") this.root.dataset.panel = view;
    this.#changed();
  }

  #changed() {
    const { view, panel } = this.root.dataset;
    for (const tab of this.tabs) {
      const isSelected = tab.dataset.tab === panel;
      tab.setAttribute("aria-selected", String(isSelected));
      tab.tabIndex = isSelected ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !isSelected;
    }
    for (const button of this.viewButtons) {
      if (button.dataset.viewButton === view) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    this.handlers.onShow(this.visiblePanel);
  }

  #wireTabs() {
    for (const tab of this.tabs) {
      tab.addEventListener("click", () => this.show(tab.dataset.tab));
      tab.addEventListener("keydown", (event) => this.#tabKey(event));
    }
    for (const button of this.viewButtons) {
      button.addEventListener("click", () => this.show(button.dataset.viewButton));
    }
  }

  #tabKey(event) {
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    const at = this.tabs.indexOf(event.currentTarget);
    let next = null;
    if (event.key in steps) next = this.tabs[(at + steps[event.key] + this.tabs.length) % this.tabs.length];
    else if (event.key === "Home") next = this.tabs[0];
    else if (event.key === "End") next = this.tabs[this.tabs.length - 1];
    if (!next) return;
    event.preventDefault();
    this.show(next.dataset.tab);
    next.focus();
  }

  #wireSplitter() {
    let stored = NaN;
    try {
      stored = Number.parseFloat(localStorage.getItem(SPLIT_KEY));
    } catch {
      // storage is blocked
    }
    if (Number.isFinite(stored)) this.#split(stored);
    else this.splitter.setAttribute("aria-valuenow", String(Math.round(this.#share)));
    const move = (event) => {
      const { left, width } = this.root.getBoundingClientRect();
      this.#split(((event.clientX - left) / width) * 100);
    };
    this.splitter.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.splitter.setPointerCapture(event.pointerId);
      this.root.classList.add("is-splitting");
      this.splitter.addEventListener("pointermove", move);
    });
    const end = () => {
      this.splitter.removeEventListener("pointermove", move);
      this.root.classList.remove("is-splitting");
      this.#keepSplit();
    };
    this.splitter.addEventListener("pointerup", end);
    this.splitter.addEventListener("pointercancel", end);
    this.splitter.addEventListener("dblclick", () => this.#resetSplit());
    this.splitter.addEventListener("keydown", (event) => this.#splitKey(event));
  }

  /** Where the divider is now, in percent of the whole width. */
  get #share() {
    const { left, width } = this.root.getBoundingClientRect();
    return ((this.splitter.getBoundingClientRect().left - left) / width) * 100;
  }

  #split(share) {
    const kept = Math.min(SPLIT.max, Math.max(SPLIT.min, share));
    this.root.style.setProperty("--split", `${kept.toFixed(1)}%`);
    this.splitter.setAttribute("aria-valuenow", String(Math.round(kept)));
  }

  #keepSplit() {
    try {
      localStorage.setItem(SPLIT_KEY, this.#share.toFixed(1));
    } catch {
      // storage is blocked
    }
  }

  #resetSplit() {
    this.root.style.removeProperty("--split");
    this.splitter.setAttribute("aria-valuenow", String(Math.round(this.#share)));
    try {
      localStorage.removeItem(SPLIT_KEY);
    } catch {
      // storage is blocked
    }
  }

  #splitKey(event) {
    const steps = { ArrowLeft: -SPLIT.step, ArrowRight: SPLIT.step };
    if (event.key in steps) this.#split(this.#share + steps[event.key]);
    else if (event.key === "Home") this.#split(SPLIT.min);
    else if (event.key === "End") this.#split(SPLIT.max);
    else return;
    event.preventDefault();
    this.#keepSplit();
  }
}
