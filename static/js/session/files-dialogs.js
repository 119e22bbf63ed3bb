// The panel's own dialogs: a name, a conflict, and the menu of a row.

/**
 * Asks for a name until `save` takes it; what it throws is shown beside the field.
 * @param {HTMLElement} panel
 * @param {{title: string, value?: string, button: string, save: (name: string) => Promise<void>}} options
 * @returns {Promise<boolean>}
 */
export function askName(panel, { title, value = "", button, save }) {
  const dialog = panel.querySelector(".files-name-dialog");
  const form = dialog.querySelector("form");
  const input = form.elements.namedItem("name");
  const problem = dialog.querySelector(".files-dialog-error");
  const submit = dialog.querySelector("[type=submit]");
  dialog.querySelector("h2").textContent = title;
  submit.textContent = button;
  input.value = value;
  problem.textContent = "";
  const listeners = new AbortController();
  return new Promise((resolve) => {
    let isSaved = false;
    const onSubmit = async (event) => {
      event.preventDefault();
      submit.disabled = true;
      try {
        await save(input.value);
        isSaved = true;
        dialog.close();
      } catch (error) {
        problem.textContent = error.message;
        input.focus();
      } finally {
        submit.disabled = false;
      }
    };
    const { signal } = listeners;
    form.addEventListener("submit", onSubmit, { signal });
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close(), { signal });
    dialog.addEventListener("close", () => {
      listeners.abort();
      resolve(isSaved);
    }, { signal });
    dialog.showModal();
    input.focus();
    // The part before the suffix is what people change.
    const dot = value.lastIndexOf(".");
    input.setSelectionRange(0, dot > 0 ? dot : value.length);
  });
}

/**
 * @param {HTMLElement} panel @param {string} name
 * @returns {Promise<{choice: "replace"|"skip", forAll: boolean}>}
 */
export function askConflict(panel, name) {
  const dialog = panel.querySelector(".files-conflict-dialog");
  const all = dialog.querySelector("[name=all]");
  dialog.querySelector(".files-conflict-name").textContent = name;
  all.checked = false;
  dialog.returnValue = "skip";
  return new Promise((resolve) => {
    const onClose = () => {
      const choice = dialog.returnValue === "replace" ? "replace" : "skip";
      resolve({ choice, forAll: all.checked });
    };
    dialog.addEventListener("close", onClose, { once: true });
    dialog.showModal();
  });
}

/**
 * The menu of one row. Closing it, however, gives the focus back.
 * @param {HTMLElement} panel
 * @param {HTMLElement} anchor
 * @param {{x: number, y: number}|undefined} point
 * @param {{label: string, href?: string, isDanger?: boolean, act?: () => void}[]} items
 */
export function openMenu(panel, anchor, point, items) {
  const menu = panel.querySelector(".files-menu");
  const back = document.activeElement;
  const made = items.map((item) => menuItem(menu, item, back));
  menu.replaceChildren(...made);
  menu.onkeydown = (event) => onMenuKey(event, made, menu);
  menu.ontoggle = (event) => {
    if (event.newState === "closed" && (menu.contains(document.activeElement) || document.activeElement === document.body)) {
      back?.focus({ preventScroll: true });
    }
  };
  menu.showPopover();
  place(menu, anchor, point);
  made[0]?.focus();
}

function menuItem(menu, { label, href, isDanger, act }, back) {
  const made = document.createElement(href ? "a" : "button");
  made.className = "menu-item";
  made.setAttribute("role", "menuitem");
  made.tabIndex = -1;
  made.textContent = label;
  if (isDanger) made.classList.add("is-danger");
  if (href) {
    made.href = href;
    made.download = "";
  }
  made.addEventListener("click", () => {
    back?.focus({ preventScroll: true });
    menu.hidePopover();
    act?.();
  });
  return made;
}

function onMenuKey(event, items, menu) {
  const index = items.indexOf(document.activeElement);
  const steps = {
    ArrowDown: (index + 1) % items.length,
    ArrowUp: (index - 1 + items.length) % items.length,
    Home: 0,
    End: items.length - 1,
  };
  if (event.key in steps) items[steps[event.key]].focus();
  else if (event.key === "Tab") menu.hidePopover();
  else return;
  event.preventDefault();
}

function place(menu, anchor, point) {
  const box = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const left = point?.x ?? Math.min(box.right - width, box.left + 48);
  const top = point?.y ?? box.bottom;
  menu.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  menu.style.top = `${Math.max(8, Math.min(top, innerHeight - height - 8))}px`;
}
