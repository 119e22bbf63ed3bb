// Ages in the words of the server's `age` tag, kept current while the page is open.
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"]];

export function ageWords(seconds) {
  for (const [length, unit] of UNITS) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return "now";
}

export function refreshAges(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const words = ageWords((Date.now() - Date.parse(element.dateTime)) / 1000);
    if (element.textContent !== words) element.textContent = words;
  }
}
