// The search bar above the terminal.

export class TerminalSearch {
  /**
   * @param {HTMLElement} bar
   * @param {() => import("berth/session/terminal_view").TerminalView} view the one that is shown
   */
  constructor(bar, view) {
    this.bar = bar;
    this.view = view;
    this.input = bar.querySelector("input");
    this.count = bar.querySelector(".terminal-search-count");
    this.input.addEventListener("input", () => this.#find(false, true));
    this.input.addEventListener("keydown", (event) => this.#key(event));
    bar.querySelector("[data-search=next]").addEventListener("click", () => this.#find(false));
    bar.querySelector("[data-search=previous]").addEventListener("click", () => this.#find(true));
    bar.querySelector("[data-search=close]").addEventListener("click", () => this.close());
  }

  get isOpen() {
    return !this.bar.hidden;
  }

  open() {
    const selected = this.view().terminal.getSelection();
    this.bar.hidden = false;
    if (selected && !selected.includes("\n")) this.input.value = selected;
    this.input.focus();
    this.input.select();
    if (this.input.value) this.#find(false, true);
  }

  close() {
    this.bar.hidden = true;
    this.view().clearSearch();
    this.count.textContent = "";
    this.view().terminal.focus();
  }

  /** `n` and `N` while the terminal has the focus. */
  step(isBackwards) {
    if (this.isOpen && this.input.value) this.#find(isBackwards);
  }

  showResults({ resultIndex, resultCount }) {
    if (!this.isOpen || !this.input.value) return;
    if (!resultCount) this.count.textContent = "No match";
    else this.count.textContent = resultIndex < 0 ? `${resultCount}` : `${resultIndex + 1} of ${resultCount}`;
  }

  #find(isBackwards, isIncremental = false) {
    if (this.input.value) this.view().find(this.input.value, isBackwards, isIncremental);
    else {
      this.view().clearSearch();
      this.count.textContent = "";
    }
  }

  #key(event) {
    if (event.key === "Enter") {
      event.preventDefault();
      this.#find(event.shiftKey);
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.close();
    }
  }
}
