// The API reference: a filter, links that open what they lead to, and nested fields on demand.

const search = document.querySelector("#reference-search");
const count = document.querySelector("#reference-count");
const entries = [...document.querySelectorAll("[data-find]")];
const groups = [...document.querySelectorAll("[data-group]")];

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const entry of entries) {
    const text = entry.dataset.find.toLowerCase();
    entry.hidden = !words.every((word) => text.includes(word));
    if (!entry.hidden && entry.matches("details")) found += 1;
  }
  for (const group of groups) {
    group.hidden = words.length > 0 && !group.querySelector("[data-find]:not([hidden])");
  }
  count.textContent = words.length ? `${found} found` : "";
}

/** Open what the address names, and whatever lies around it. */
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target || !target.closest(".reference-body")) return;
  if (target.hidden) {
    search.value = "";
    filter();
  }
  for (let one = target; one; one = one.parentElement?.closest("details")) one.open = true;
  target.scrollIntoView();
}

/** Each object is on the page once; here its fields are copied to where they are looked at. */
function fill(nested) {
  const source = document.getElementById(nested.dataset.schema)?.querySelector(".panel-body");
  if (!source || nested.childElementCount > 1) return;
  const copy = document.createElement("div");
  copy.className = "nested-body";
  // What was opened in the source would be copied with what it holds.
  for (const child of source.children) copy.append(child.cloneNode(true));
  for (const inner of copy.querySelectorAll("details.nested")) {
    inner.open = false;
    while (inner.childElementCount > 1) inner.lastElementChild.remove();
  }
  nested.append(copy);
}

document.addEventListener(
  "toggle",
  (event) => {
    if (!event.target.open) return;
    if (event.target.matches("details.nested")) fill(event.target);
    // Those that need no click.
    for (const nested of event.target.querySelectorAll("details.nested[open]")) fill(nested);
  },
  true, // it does not bubble
);

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea")) {
    event.preventDefault();
    search.focus();
  }
});

document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  // The same address again brings no event of its own.
  if (link && link.getAttribute("href") === location.hash) openTarget();
});

search.addEventListener("input", filter);
window.addEventListener("hashchange", openTarget);
filter();
openTarget();
