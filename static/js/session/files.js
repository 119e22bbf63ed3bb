// The Files tab: wires model, tree, viewer and uploads of one #files-panel together.

import { confirmDialog, toast } from "berth/ui";
import { FilesApi, joinQuery, parentQuery } from "berth/files-api";
import { askConflict, askName, openMenu } from "berth/files-dialogs";
import { readDrop, readPicked } from "berth/files-drop";
import { FilesModel } from "berth/files-model";
import { FilesRefresher } from "berth/files-refresh";
import { FilesTree } from "berth/files-tree";
import { UploadQueue } from "berth/files-upload";
import { UploadList } from "berth/files-upload-list";
import { FilesWatch } from "berth/files-watch";
import { copyPath, FilesViewer } from "berth/files-viewer";
import { fileLabel } from "berth/session/timeline_message";

/** The server takes no more. */
const MAX_WATCHED = 200;
const START = "Starting the container to read its files…";
/** What a request waits for, by the state of the container. @type {Record<string, string>} */
const STARTING = {
  pending: START,
  suspended: START,
  disconnected: START,
  failed: START,
  expired: "Restoring the archived files and starting the container…",
};
const URL_NAMES = ["list", "changes", "view", "raw", "archive", "upload", "uploads", "folder", "rename", "delete"];

/**
 * @param {HTMLElement} root The #files-panel.
 * @param {object} options
 * @param {Record<string, string>=} options.urls From the panel's data attributes when left out.
 * @param {boolean=} options.canWrite
 * @param {(query: string|null) => void=} options.onOpenChange The viewer shows another file, or none.
 * @param {(frame: string) => boolean=} options.send To the session's socket; false when it is closed.
 */
export function mountFiles(root, options = {}) {
  const panel = new FilesPanel(root, options);
  return {
    /** Something in the workspace may have changed. */
    refresh: () => panel.refresher.soon(),
    /** The tab is on view, or not. @param {boolean} isActive */
    setActive: (isActive) => panel.setActive(isActive),
    /** A turn runs, or not. @param {boolean} isRunning */
    setRunning: (isRunning) => panel.refresher.setRunning(isRunning),
    /** The socket is open, or not. @param {boolean} isConnected */
    setConnected: (isConnected) => panel.watch.connected(isConnected),
    /** Whether there is a container to read from. @param {string} state */
    setContainerState: (state) => panel.setContainerState(state),
    /** What the socket says of folders. @param {{changed: string[], all: boolean, watched: boolean}} frame */
    foldersChanged: (frame) => panel.watch.take(frame),
    /** Show a file. @param {string} query */
    open: (query) => panel.openFile(query),
  };
}

class FilesPanel {
  constructor(root, options) {
    const { urls = urlsOf(root), canWrite = true, onOpenChange = () => {}, send = () => false } = options;
    this.root = root;
    this.canWrite = canWrite;
    this.api = new FilesApi(urls);
    this.api.onWaiting = () => this.#showStarting();
    this.containerState = "connected";
    this.model = new FilesModel(this.api, () => this.render());
    this.tree = new FilesTree(root.querySelector(".files-tree"), this.#treeActions());
    this.viewer = new FilesViewer(root, this.api, {
      onOpen: (query) => {
        this.tree.select(query ?? "");
        if (query === null) this.tree.focus(this.tree.currentKey);
        this.#chooseWatched();
        onOpenChange(query);
      },
      onLink: (query) => this.openFile(query),
      nameOf: (query) => this.#shownPath(query),
      onError: (error) => error.isOutage && this.showTrouble(error.message),
    });
    this.refresher = new FilesRefresher(this.model, this.viewer, {
      onTrouble: (message) => this.showTrouble(message),
    });
    this.watch = new FilesWatch(send, {
      onChanged: (queries) => this.refresher.foldersChanged(queries),
      onState: (isWatched) => this.#showWatched(isWatched),
    });
    this.uploads = new UploadQueue(this.api, {
      onChange: () => this.uploadList.render(),
      onDone: () => this.#uploadsDone(),
      askConflict: (name) => askConflict(root, name),
    });
    this.uploadList = new UploadList(root.querySelector(".files-uploads"), this.uploads);
    for (const control of root.querySelectorAll("[data-writes]")) control.hidden = !canWrite;
    this.#listen();
  }

  async setActive(isActive) {
    this.refresher.setActive(isActive);
    this.#chooseWatched();
    if (!isActive || this.model.isLoaded) return;
    await this.load();
    if (this.canWrite && this.model.isLoaded) await this.attempt(() => this.uploads.loadUnfinished());
  }

  /** The first load, and every try after trouble. */
  async load() {
    try {
      await this.model.load("");
      this.showTrouble("");
      await this.refresher.now();
    } catch (error) {
      this.showTrouble(error.message);
    }
  }

  render() {
    const rows = this.model.rows();
    this.tree.render(rows);
    const isEmpty = this.model.isLoaded && rows.length === 0;
    this.root.querySelector(".files-empty").hidden = !isEmpty;
    this.tree.root.classList.toggle("is-empty", isEmpty);
    this.tree.root.setAttribute("aria-busy", String(this.model.root.isLoading));
    this.#chooseWatched();
  }

  /** Folders on view, and the one of the open file; none while nobody looks. */
  #chooseWatched() {
    const isSeen = this.refresher.isActive && this.model.isLoaded && document.visibilityState === "visible";
    const queries = isSeen ? this.model.openQueries() : [];
    const file = this.viewer.query;
    if (isSeen && file !== null && queries.length < MAX_WATCHED) queries.push(parentQuery(file));
    this.watch.want([...new Set(queries)]);
  }

  #showWatched(isWatched) {
    this.root.dataset.watched = String(isWatched);
    this.refresher.setWatched(isWatched);
  }

  setContainerState(state) {
    this.containerState = state;
    this.#showStarting();
  }

  /** A look at the files starts a container, which nobody should find out by its figures. */
  #showStarting() {
    const line = this.root.querySelector(".files-starting");
    const text = this.api.waiting > 0 ? (STARTING[this.containerState] ?? "") : "";
    if (line.textContent !== text) line.textContent = text;
    line.hidden = !text;
  }

  showTrouble(message) {
    const box = this.root.querySelector(".files-trouble");
    box.querySelector("span").textContent = message;
    box.hidden = !message;
  }

  /** @param {string} query */
  async openFile(query, takeFocus = true) {
    await this.attempt(async () => {
      await this.model.reveal(query);
      await this.viewer.open(query, { takeFocus });
    });
  }

  /** Runs what a person asked for, and says why it failed. */
  async attempt(action) {
    try {
      await action();
    } catch (error) {
      if (error.isOutage) this.showTrouble(error.message);
      else toast(error.message, "danger");
    }
  }

  /** Where new things go: the current folder, or the one the current entry is in. */
  get targetFolder() {
    const row = this.tree.current;
    if (!row) return "";
    return row.entry?.kind === "folder" && row.isOpen ? row.key : row.folder;
  }

  #treeActions() {
    return {
      open: (entry) => this.#openEntry(entry),
      toggle: (query, isOpen) => {
        if (isOpen) this.attempt(() => this.model.open(query));
        else this.model.close(query);
      },
      showMore: (query) => this.attempt(() => this.model.showMore(query)),
      retry: (query) => this.attempt(() => this.model.load(query)),
      rename: (entry) => this.canWrite && this.#rename(entry),
      remove: (entry) => this.canWrite && this.#remove(entry),
      menu: (entry, anchor, point) => openMenu(this.root, anchor, point, this.#menuItems(entry)),
    };
  }

  #openEntry(entry) {
    if (entry.kind === "other") toast("This is neither a file nor a folder.", "warn");
    else if (entry.kind === "symlink") this.attempt(() => this.#openLink(entry.query));
    else this.viewer.open(entry.query);
  }

  async #openLink(query) {
    if (!(await this.model.openLink(query))) await this.viewer.open(query);
  }

  #menuItems(entry) {
    const isFolder = entry.kind === "folder";
    const items = [
      isFolder
        ? { label: "Download as zip", href: this.api.archiveUrl(entry.query) }
        : { label: "Download", href: this.api.rawUrl(entry.query) },
      { label: "Copy path", act: () => copyPath(this.#shownPath(entry.query)) },
    ];
    if (!isFolder) items.unshift({ label: "Open", act: () => this.#openEntry(entry) });
    if (!this.canWrite) return items;
    if (isFolder) {
      items.push({ label: "Upload files here…", act: () => this.#pick(".files-pick", entry.query) });
      items.push({ label: "New folder…", act: () => this.#create("folder", entry.query) });
    }
    items.push({ label: "Rename…", act: () => this.#rename(entry) });
    items.push({ label: "Delete…", isDanger: true, act: () => this.#remove(entry) });
    return items;
  }

  /** The path as people read it. The tree knows the names of what it has loaded. */
  #shownPath(query) {
    const names = query.split("/").map((name, depth, all) => {
      const known = this.model.entry(all.slice(0, depth + 1).join("/"));
      return known?.name ?? name;
    });
    return names.join("/");
  }

  async #rename(entry) {
    let target = "";
    const save = async (name) => {
      target = joinQuery(parentQuery(entry.query), name);
      if (target !== entry.query) await this.api.rename(entry.query, target);
    };
    const value = entry.plain ? entry.name : "";
    const title = entry.plain ? "Rename" : `Rename ${entry.name}`;
    if (!(await askName(this.root, { title, value, button: "Rename", save }))) return;
    await this.attempt(() => this.model.load(parentQuery(entry.query)));
    this.tree.focus(target);
    this.#followRename(entry.query, target);
  }

  #followRename(from, to) {
    const { query } = this.viewer;
    if (query === from) this.viewer.open(to);
    else if (query?.startsWith(`${from}/`)) this.viewer.open(to + query.slice(from.length));
  }

  async #remove(entry) {
    const text = entry.kind === "folder"
      ? `Delete the folder ${entry.name} and everything in it?`
      : `Delete ${entry.name}?`;
    if (!(await confirmDialog(text, { danger: true }))) return;
    await this.attempt(async () => {
      await this.api.remove(entry.query);
      const { query } = this.viewer;
      if (query === entry.query || query?.startsWith(`${entry.query}/`)) this.viewer.close();
      await this.model.load(parentQuery(entry.query));
    });
    this.tree.focus(this.tree.currentKey);
  }

  async #create(kind, folder) {
    let query = "";
    const save = async (name) => {
      query = joinQuery(folder, name);
      if (kind === "folder") await this.api.createFolder(query);
      else await this.api.createFile(query);
    };
    const where = folder ? ` in ${fileLabel(folder)}` : "";
    const title = (kind === "folder" ? "New folder" : "New file") + where;
    if (!(await askName(this.root, { title, button: "Create", save }))) return;
    await this.attempt(() => (folder ? this.model.open(folder) : this.model.load("")));
    this.tree.focus(query);
  }

  #pick(selector, folder) {
    this.pickFolder = folder;
    this.root.querySelector(selector).click();
  }

  #upload(files, folder) {
    if (files.length) this.uploads.add(files, folder);
    if (folder) this.attempt(() => this.model.open(folder));
  }

  #uploadsDone() {
    this.refresher.soon();
    const { uploads } = this.uploads;
    const done = uploads.filter((upload) => upload.state === "done");
    const failed = uploads.find((upload) => upload.state === "failed");
    if (failed) toast(failed.error, "danger");
    else if (done.length) {
      const [folder, ...others] = new Set(done.map((upload) => upload.folder));
      const where = folder && !others.length ? ` to ${fileLabel(folder)}` : "";
      toast(`Uploaded ${done.length === 1 ? "1 file" : `${done.length} files`}${where}.`, "ok");
    }
  }

  #listen() {
    document.addEventListener("visibilitychange", () => this.#chooseWatched());
    this.root.addEventListener("click", (event) => {
      const action = event.target.closest("[data-action]")?.dataset.action;
      const acts = {
        upload: () => this.#pick(".files-pick", this.targetFolder),
        "upload-folder": () => this.#pick(".files-pick-folder", this.targetFolder),
        "new-folder": () => this.#create("folder", this.targetFolder),
        "new-file": () => this.#create("file", this.targetFolder),
        refresh: () => this.load(),
        retry: () => this.load(),
      };
      acts[action]?.();
    });
    for (const input of this.root.querySelectorAll("input[type=file]")) {
      input.addEventListener("change", () => {
        this.#upload(readPicked(input.files), this.pickFolder ?? this.targetFolder);
        this.pickFolder = null;
        input.value = "";
      });
    }
    if (this.canWrite) this.#listenForDrops(this.root.querySelector(".files-tree-pane"));
  }

  #listenForDrops(pane) {
    let target = null;
    const mark = (made) => {
      target?.classList.remove("is-drop-target");
      target = made;
      target?.classList.add("is-drop-target");
    };
    const isFiles = (event) => event.dataTransfer?.types.includes("Files");
    pane.addEventListener("dragover", (event) => {
      if (!isFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      mark(this.#dropElement(event.target, pane));
    });
    pane.addEventListener("dragleave", (event) => {
      if (!pane.contains(event.relatedTarget)) mark(null);
    });
    pane.addEventListener("drop", async (event) => {
      if (!isFiles(event)) return;
      event.preventDefault();
      const folder = this.#dropElement(event.target, pane).dataset.key ?? "";
      mark(null);
      const found = await readDrop(event.dataTransfer);
      await this.attempt(async () => {
        for (const names of found.emptyFolders) await this.api.createFolder(names.reduce(joinQuery, folder));
      });
      if (found.unreadable) toast(`${found.unreadable} things could not be read.`, "warn");
      this.#upload(found.files, folder);
      if (!found.files.length) this.refresher.soon();
    });
  }

  /** The row of the folder that a drop here would go to, or the pane for the workspace. */
  #dropElement(target, pane) {
    const key = target.closest("[data-key]")?.dataset.key;
    const row = this.tree.rows.find((one) => one.key === key);
    const folder = row?.entry?.kind === "folder" ? row.key : row?.folder;
    return this.tree.elements.get(folder ?? "") ?? pane;
  }
}

function urlsOf(root) {
  return Object.fromEntries(URL_NAMES.map((name) => [name, root.dataset[`${name}Url`]]));
}
