// Files that go with the next message: picked, pasted or dropped.

import { formatBytes } from "berth/session/format";
import { toast } from "berth/ui";

export class AttachedFiles {
  /** @param {HTMLFormElement} form @param {() => void} onChange */
  constructor(form, onChange) {
    this.form = form;
    this.onChange = onChange;
    /** @type {File[]} */
    this.files = [];
    this.list = form.querySelector("[data-composer=files]");
    this.picker = form.querySelector("input[type=file]");
    this.maxBytes = Number(form.dataset.maxUploadBytes);
    form.querySelector("[data-composer=attach]").addEventListener("click", () => this.picker.click());
    this.picker.addEventListener("change", () => {
      this.add([...this.picker.files]);
      this.picker.value = "";
    });
    form.addEventListener("paste", (event) => this.#paste(event));
    this.#acceptDrops(form.closest(".pane-timeline"));
  }

  #paste(event) {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    event.preventDefault();
    this.add(files);
  }

  #acceptDrops(area) {
    const isFiles = (event) => event.dataTransfer?.types.includes("Files");
    area.addEventListener("dragover", (event) => {
      if (!isFiles(event)) return;
      event.preventDefault();
      area.classList.add("is-dropping");
    });
    area.addEventListener("dragleave", (event) => {
      if (!area.contains(event.relatedTarget)) area.classList.remove("is-dropping");
    });
    area.addEventListener("drop", (event) => {
      area.classList.remove("is-dropping");
      if (!isFiles(event)) return;
      event.preventDefault();
      this.add([...event.dataTransfer.files]);
    });
  }

  /** @param {File[]} files */
  add(files) {
    const total = [...this.files, ...files].reduce((sum, file) => sum + file.size, 0);
    if (total > this.maxBytes) {
      toast(`At most ${formatBytes(this.maxBytes)} go with a message. Larger files: the Files tab.`, "warn");
      return;
    }
    this.files.push(...files);
    this.#render();
  }

  take() {
    const { files } = this;
    this.files = [];
    this.#render();
    return files;
  }

  #render() {
    this.list.hidden = this.files.length === 0;
    this.list.replaceChildren(...this.files.map((file, index) => this.#item(file, index)));
    this.onChange();
  }

  #item(file, index) {
    const item = document.createElement("li");
    const name = document.createElement("bdi");
    name.textContent = file.name;
    const size = document.createElement("span");
    size.className = "muted";
    size.textContent = formatBytes(file.size);
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "chip-remove";
    remove.textContent = "×";
    remove.setAttribute("aria-label", `Do not send ${file.name}`);
    remove.addEventListener("click", () => {
      this.files.splice(index, 1);
      this.#render();
    });
    item.append(name, size, remove);
    return item;
  }
}
