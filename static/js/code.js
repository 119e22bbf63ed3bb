// Programs to paste: one client at a time, and the address as this browser has it.

const tabs = [...document.querySelectorAll(".code-tabs [role=tab]")];
const panelOf = (tab) => document.getElementById(tab.getAttribute("aria-controls"));

function show(chosen, { focus = false } = {}) {
  for (const tab of tabs) {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    panelOf(tab).hidden = !isChosen;
  }
  history.replaceState(history.state, "", `#${chosen.id.replace("tab-", "")}`);
  if (focus) chosen.focus();
}

function onKey(event) {
  const at = tabs.indexOf(event.target);
  if (at < 0) return;
  const to = {
    ArrowRight: (at + 1) % tabs.length,
    ArrowLeft: (at + tabs.length - 1) % tabs.length,
    Home: 0,
    End: tabs.length - 1,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  show(tabs[to], { focus: true });
}

// A proxy may have asked the server by another name than this browser asked the proxy.
function useOwnAddress() {
  const given = document.querySelector("#base-url").textContent;
  const own = `${location.origin}/v1`;
  if (given === own) return;
  for (const code of document.querySelectorAll("#base-url, .code-block code")) {
    code.textContent = code.textContent.replaceAll(given, own);
  }
}

const list = document.querySelector(".code-tabs");
list.hidden = false;
document.querySelector(".code-page").classList.add("has-tabs");
list.addEventListener("keydown", onKey);
list.addEventListener("click", (event) => {
  const tab = event.target.closest("[role=tab]");
  if (tab) show(tab);
});
useOwnAddress();
show(document.getElementById(`tab-${location.hash.slice(1)}`) ?? tabs[0]);
