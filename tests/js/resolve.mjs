// `berth/session/x` is static/js/session/x.js and `berth/files-x` is session/files-x.js, as templates/sessions/_session_importmap.html says.
const ROOT = new URL("../../static/js/", import.meta.url);

export function resolve(specifier, context, next) {
  if (!specifier.startsWith("berth/")) return next(specifier, context);
  const name = specifier.slice("berth/".length);
  const path = /^files(-|$)/.test(name) ? `session/${name}` : name;
  return next(new URL(`${path}.js`, ROOT).href, context);
}

/** The files are modules, though no package.json says so. */
export async function load(url, context, next) {
  if (!url.startsWith(ROOT.href)) return next(url, context);
  return next(url, { ...context, format: "module" });
}
