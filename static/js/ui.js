// Small things every page uses: toasts, the confirm dialog, menus, copy buttons.

const TOAST_MS = { ok: 5000, info: 6000, warn: 9000, danger: 15000 };

/** Show `text` in a corner for a while. `level`: ok, info, warn or danger. */
export function toast(text, level = "info") {
  const template = document.querySelector("#toast-template");
  const element = template.content.firstElementChild.cloneNode(true);
  element.dataset.level = level;
  element.querySelector(".toast-text").textContent = text;
  document.querySelector("#toasts").append(element);
  return element;
}

function tend(element) {
  const ms = TOAST_MS[element.dataset.level] ?? TOAST_MS.info;
  let timer = setTimeout(() => element.remove(), ms);
  element.addEventListener("pointerenter", () => clearTimeout(timer));
  element.addEventListener("pointerleave", () => {
    timer = setTimeout(() => element.remove(), ms);
  });
}

/** Ask before something that cannot be undone. Resolves to true only on the yes button. */
export function confirmDialog(text, { danger = false, yes = "" } = {}) {
  const dialog = document.querySelector("#confirm");
  dialog.querySelector("#confirm-text").textContent = text;
  const button = dialog.querySelector("button[value=yes]");
  button.textContent = yes || (danger ? "Delete" : "Continue");
  button.classList.toggle("danger", danger);
  dialog.returnValue = "no";
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
  });
}

/** The headers every fetch that writes must carry. */
export function csrfHeaders() {
  return { "X-CSRFToken": document.querySelector("meta[name=csrf-token]").content };
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // plain http on another host has no clipboard API
  }
}

function copyBySelection(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  return isCopied;
}

function onClick(event) {
  const target = event.target;
  if (target.closest(".toast-close")) target.closest(".toast").remove();
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(target)) menu.open = false;
  }
  const copy = target.closest("[data-copy]");
  if (copy) {
    copyText(document.querySelector(copy.dataset.copy).textContent.trim()).then((isCopied) => {
      toast(isCopied ? "Copied." : "Copying is not allowed here; select the text instead.", isCopied ? "ok" : "warn");
    });
  }
}

function onKey(event) {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
}

// htmx: our dialog instead of the browser's, and only answers meant to be shown on an error.
function onHtmxConfirm(event) {
  if (!event.detail.question) return;
  event.preventDefault();
  const danger = event.detail.elt.hasAttribute("data-danger");
  confirmDialog(event.detail.question, { danger, yes: event.detail.elt.dataset.yes }).then((isYes) => {
    if (isYes) event.detail.issueRequest(true);
  });
}

function onBeforeSwap(event) {
  const { xhr } = event.detail;
  if (xhr.status >= 400 && (xhr.getResponseHeader("HX-Retarget") || xhr.status === 422)) {
    event.detail.shouldSwap = true;
  }
}

let lostSince = 0;

function onSendError(event) {
  // Polls come back by themselves; only what a person did deserves a word.
  if (event.detail.requestConfig?.verb === "get" || Date.now() - lostSince < 5000) return;
  lostSince = Date.now();
  toast("Berth does not answer. Nothing was changed; try again in a moment.", "danger");
}

function onSubmit(event) {
  const form = event.target;
  if (!form.dataset.confirm || form.dataset.confirmed) return;
  event.preventDefault();
  confirmDialog(form.dataset.confirm, {
    danger: form.hasAttribute("data-danger"),
    yes: form.dataset.yes,
  }).then((isYes) => {
    if (!isYes) return;
    form.dataset.confirmed = "yes";
    form.requestSubmit();
  });
}

const toasts = document.querySelector("#toasts");
for (const element of toasts.children) tend(element);
new MutationObserver((records) => {
  for (const record of records) {
    for (const node of record.addedNodes) if (node.nodeType === Node.ELEMENT_NODE) tend(node);
  }
}).observe(toasts, { childList: true });

document.addEventListener("click", onClick);
document.addEventListener("keydown", onKey);
document.addEventListener("submit", onSubmit);
document.addEventListener("htmx:confirm", onHtmxConfirm);
document.addEventListener("htmx:beforeSwap", onBeforeSwap);
document.addEventListener("htmx:sendError", onSendError);
