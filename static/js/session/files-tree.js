// The tree: one flat list of rows by the ARIA tree pattern, patched in place so that nothing
// flickers and focus stays where it is while the agent works.

import { element, formatFullTime, formatSize, formatTime, icon } from "berth/files-format";

/** @typedef {import("berth/files-model").Row} Row */

const TYPEAHEAD_MS = 600;
const MAX_TIME_S = 8.64e12;

/**
 * @typedef {object} TreeActions
 * @property {(entry: import("berth/files-api").Entry) => void} open A file is to be shown.
 * @property {(query: string, isOpen: boolean) => void} toggle
 * @property {(query: string) => void} showMore
 * @property {(query: string) => void} retry
 * @property {(entry: import("berth/files-api").Entry) => void} rename
 * @property {(entry: import("berth/files-api").Entry) => void} remove
 * @property {(entry: import("berth/files-api").Entry, anchor: HTMLElement, point?: {x: number, y: number}) => void} menu
 */

export class FilesTree {
  /** @param {HTMLElement} root @param {TreeActions} actions */
  constructor(root, actions) {
    this.root = root;
    this.actions = actions;
    /** @type {Row[]} */
    this.rows = [];
    /** @type {Map<string, HTMLElement>} */
    this.elements = new Map();
    this.currentKey = "";
    this.selectedKey = "";
    this.typed = "";
    root.addEventListener("click", (event) => this.#onClick(event));
    root.addEventListener("contextmenu", (event) => this.#onContextMenu(event));
    root.addEventListener("keydown", (event) => this.#onKey(event));
    root.addEventListener("focusin", (event) => this.#onFocus(event));
  }

  /** The row keys move from; the target of actions without a row of their own. */
  get current() {
    return this.rows.find((row) => row.key === this.currentKey);
  }

  /** @param {Row[]} rows */
  render(rows) {
    const hadFocus = this.root.contains(document.activeElement);
    const oldIndex = this.rows.findIndex((row) => row.key === this.currentKey);
    this.rows = rows;
    this.#dropStale(new Set(rows.map((row) => row.key)));
    let cursor = this.root.firstElementChild;
    for (const row of rows) {
      let made = this.elements.get(row.key);
      if (!made) {
        made = this.#make(row);
        this.elements.set(row.key, made);
      }
      this.#update(made, row);
      if (made === cursor) cursor = cursor.nextElementSibling;
      else this.root.insertBefore(made, cursor);
    }
    this.#keepCurrent(oldIndex, hadFocus);
  }

  /** The file the viewer shows. @param {string} query */
  select(query) {
    this.elements.get(this.selectedKey)?.setAttribute("aria-selected", "false");
    this.selectedKey = query;
    this.elements.get(query)?.setAttribute("aria-selected", "true");
  }

  /** @param {string} key */
  focus(key) {
    this.#moveTo(key, true);
  }

  #dropStale(keys) {
    for (const [key, made] of this.elements) {
      if (keys.has(key)) continue;
      made.remove();
      this.elements.delete(key);
    }
  }

  #keepCurrent(oldIndex, hadFocus) {
    if (this.elements.has(this.currentKey)) return;
    const near = this.rows[Math.min(Math.max(oldIndex, 0), this.rows.length - 1)];
    this.currentKey = "";
    if (near) this.#moveTo(near.key, hadFocus);
  }

  #make(row) {
    const made = element("div", `files-row files-row-${row.type}`);
    made.setAttribute("role", "treeitem");
    made.tabIndex = -1;
    made.dataset.key = row.key;
    if (row.type !== "entry") {
      made.append(element("span", "files-row-text"));
      return made;
    }
    made.append(icon("twist", "files-twist"), icon(row.entry.kind, "files-kind"));
    made.append(element("bdi", "files-name"), element("span", "files-size"));
    made.append(document.createElement("time"));
    const more = element("span", "files-more");
    more.setAttribute("aria-hidden", "true");
    more.title = "Actions";
    more.append(icon("more"));
    made.append(more);
    return made;
  }

  #update(made, row) {
    const { entry } = row;
    const facts = entry
      ? [row.level, row.isOpen, row.isFolder, entry.kind, entry.size, entry.modified, entry.target, row.position, row.siblings]
      : [row.level, row.text];
    const signature = facts.join("\u0000");
    if (made.dataset.signature === signature) return;
    made.dataset.signature = signature;
    made.style.setProperty("--level", String(row.level - 1));
    made.setAttribute("aria-level", String(row.level));
    if (!entry) {
      made.firstElementChild.textContent = row.text;
      return;
    }
    made.dataset.kind = entry.kind;
    made.setAttribute("aria-selected", String(row.key === this.selectedKey));
    made.setAttribute("aria-posinset", String(row.position));
    made.setAttribute("aria-setsize", String(row.siblings));
    if (row.isFolder) made.setAttribute("aria-expanded", String(row.isOpen));
    else made.removeAttribute("aria-expanded");
    made.querySelector(".files-kind use").setAttribute("href", `#fi-${entry.kind}`);
    const name = made.querySelector(".files-name");
    name.textContent = entry.name;
    name.title = entry.target === null ? entry.name : `${entry.name} → ${entry.target}`;
    made.querySelector(".files-size").textContent = entry.kind === "file" ? formatSize(entry.size) : "";
    const time = made.querySelector("time");
    // A file can claim any time; a Date cannot hold them all.
    const modified = Math.min(Math.max(entry.modified, -MAX_TIME_S), MAX_TIME_S);
    time.textContent = formatTime(modified);
    time.dateTime = new Date(modified * 1000).toISOString();
    time.title = formatFullTime(modified);
  }

  #moveTo(key, takeFocus) {
    const made = this.elements.get(key);
    if (!made) return;
    const before = this.elements.get(this.currentKey);
    if (before) before.tabIndex = -1;
    this.currentKey = key;
    made.tabIndex = 0;
    if (takeFocus) {
      made.focus({ preventScroll: true });
      made.scrollIntoView({ block: "nearest" });
    }
  }

  #rowOf(target) {
    const key = target.closest?.("[data-key]")?.dataset.key;
    return key === undefined ? undefined : this.rows.find((row) => row.key === key);
  }

  #onFocus(event) {
    const row = this.#rowOf(event.target);
    if (row) this.#moveTo(row.key, false);
  }

  #onClick(event) {
    const row = this.#rowOf(event.target);
    if (!row) return;
    this.#moveTo(row.key, true);
    const more = event.target.closest(".files-more");
    if (more) this.actions.menu(row.entry, more);
    else this.#activate(row);
  }

  #onContextMenu(event) {
    const row = this.#rowOf(event.target);
    if (row?.type !== "entry") return;
    event.preventDefault();
    this.#moveTo(row.key, true);
    this.actions.menu(row.entry, this.elements.get(row.key), { x: event.clientX, y: event.clientY });
  }

  #activate(row) {
    if (row.type === "more") this.actions.showMore(row.folder);
    else if (row.type === "error") this.actions.retry(row.folder);
    else if (row.isFolder) this.actions.toggle(row.key, !row.isOpen);
    else if (row.entry) this.actions.open(row.entry);
  }

  #onKey(event) {
    const index = this.rows.findIndex((row) => row.key === this.currentKey);
    const row = this.rows[index];
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) {
      if (row.entry) this.actions.menu(row.entry, this.elements.get(row.key));
    } else if (!this.#onMoveKey(event.key, index) && !this.#onActionKey(event.key, row)) {
      if (event.key.length !== 1 || event.key === " ") return;
      this.#typeahead(event.key, index);
    }
    event.preventDefault();
  }

  #onMoveKey(key, index) {
    const last = this.rows.length - 1;
    const page = Math.max(Math.floor(this.root.clientHeight / 32) - 1, 1);
    const targets = {
      ArrowDown: Math.min(index + 1, last),
      ArrowUp: Math.max(index - 1, 0),
      PageDown: Math.min(index + page, last),
      PageUp: Math.max(index - page, 0),
      Home: 0,
      End: last,
    };
    if (!(key in targets)) return false;
    this.#moveTo(this.rows[targets[key]].key, true);
    return true;
  }

  #onActionKey(key, row) {
    switch (key) {
      case "ArrowRight":
        this.#stepIn(row);
        return true;
      case "ArrowLeft":
        if (row.isOpen) this.actions.toggle(row.key, false);
        else if (row.folder) this.#moveTo(row.folder, true);
        return true;
      case "Enter":
      case " ":
        this.#activate(row);
        return true;
      case "F2":
        if (row.entry) this.actions.rename(row.entry);
        return true;
      case "Delete":
        if (row.entry) this.actions.remove(row.entry);
        return true;
      case "*":
        for (const other of this.rows.filter((sibling) => sibling.folder === row.folder)) {
          if (other.isFolder && !other.isOpen) this.actions.toggle(other.key, true);
        }
        return true;
      default:
        return false;
    }
  }

  #stepIn(row) {
    if (!row.isFolder) return;
    if (!row.isOpen) this.actions.toggle(row.key, true);
    else {
      const next = this.rows[this.rows.indexOf(row) + 1];
      if (next && next.folder === row.key) this.#moveTo(next.key, true);
    }
  }

  #typeahead(character, index) {
    clearTimeout(this.typedTimer);
    this.typedTimer = setTimeout(() => (this.typed = ""), TYPEAHEAD_MS);
    this.typed += character.toLocaleLowerCase();
    // One letter again and again goes from match to match; a word stays while it matches.
    const isRepeat = [...this.typed].every((letter) => letter === this.typed[0]);
    const wanted = isRepeat ? this.typed[0] : this.typed;
    const start = isRepeat ? index + 1 : index;
    for (let step = 0; step < this.rows.length; step += 1) {
      const row = this.rows[(start + step) % this.rows.length];
      if (row.entry?.name.toLocaleLowerCase().startsWith(wanted)) {
        this.#moveTo(row.key, true);
        return;
      }
    }
  }
}
