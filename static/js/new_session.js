// The new-session form: examples, the files that go with the task, and sending it by keyboard.
import { toast } from "berth/ui";

const form = document.querySelector("#new-session");
const task = form.querySelector("#task");
const input = form.querySelector("#files");
const chosen = form.querySelector("#chosen-files");
const upload = form.querySelector("#upload-progress");
let files = [];

function sizeWords(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = "B";
  while (value >= 999.5 && units.length) {
    value /= 1000;
    unit = units.shift();
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

// The input holds what is sent, the list shows it; both are made from `files`.
function showFiles() {
  const transfer = new DataTransfer();
  for (const file of files) transfer.items.add(file);
  input.files = transfer.files;
  chosen.replaceChildren(...files.map(fileItem));
}

function fileItem(file) {
  const item = document.createElement("li");
  const name = document.createElement("bdi");
  name.className = "truncate";
  name.textContent = file.name;
  const size = document.createElement("span");
  size.className = "muted num";
  size.textContent = sizeWords(file.size);
  const remove = document.createElement("button");
  remove.type = "button";
  remove.textContent = "×";
  remove.setAttribute("aria-label", `Remove ${file.name}`);
  remove.addEventListener("click", () => {
    files = files.filter((other) => other !== file);
    showFiles();
    (chosen.querySelector("button") ?? input).focus();
  });
  item.append(name, size, remove);
  return item;
}

function addFiles(added) {
  const names = new Set(added.map((file) => file.name));
  files = [...files.filter((file) => !names.has(file.name)), ...added];
  showFiles();
}

function isFileDrag(event) {
  return event.dataTransfer?.types.includes("Files");
}

let depth = 0; // dragenter and dragleave come for every child as well

function setDropping(isDropping) {
  if (!isDropping) depth = 0;
  form.classList.toggle("is-dropping", isDropping);
}

form.addEventListener("dragenter", (event) => {
  if (!isFileDrag(event)) return;
  depth += 1;
  setDropping(true);
});
form.addEventListener("dragleave", (event) => {
  if (!isFileDrag(event)) return;
  depth -= 1;
  if (depth <= 0) setDropping(false);
});
// Everywhere on the page: a file dropped beside the form must not replace the page.
document.addEventListener("dragover", (event) => {
  if (isFileDrag(event)) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  if (!isFileDrag(event)) return;
  event.preventDefault();
  setDropping(false);
  if (!form.contains(event.target)) return;
  const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
  const plain = items.filter((item) => !item.webkitGetAsEntry?.()?.isDirectory);
  if (plain.length < items.length) toast("Folders cannot be sent here. Pack them into a zip first.", "warn");
  addFiles(plain.map((item) => item.getAsFile()).filter(Boolean));
});

input.addEventListener("change", () => addFiles([...input.files]));

task.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

document.addEventListener("click", (event) => {
  const example = event.target.closest("[data-example]");
  if (!example) return;
  task.value = example.dataset.example;
  task.focus();
  task.scrollIntoView({ block: "center" });
});

function showNote() {
  const value = form.querySelector("#choice").value;
  for (const note of form.querySelectorAll("[data-choice]")) note.hidden = note.dataset.choice !== value;
}

form.querySelector("#choice").addEventListener("change", showNote);
showNote(); // the browser may have restored another choice

// A closed <details> would swallow the browser's message about a field inside it.
form.addEventListener("invalid", (event) => {
  const details = event.target.closest("details");
  if (details) details.open = true;
}, true);

form.addEventListener("htmx:xhr:progress", (event) => {
  const { loaded, total } = event.detail;
  upload.hidden = !files.length || !total;
  if (total) upload.value = (100 * loaded) / total;
});
form.addEventListener("htmx:afterRequest", (event) => {
  const { xhr } = event.detail;
  upload.hidden = true;
  if (xhr.status === 422) markErrors();
});

function markErrors() {
  const wrong = [];
  for (const message of form.querySelectorAll(".field-error")) {
    const field = form.elements.namedItem(message.id.replace("error-", ""));
    field?.setAttribute?.("aria-invalid", String(message.textContent.trim() !== ""));
    if (field && message.textContent.trim()) wrong.push(field);
  }
  wrong[0]?.closest("details")?.setAttribute("open", "");
  wrong[0]?.focus();
}
