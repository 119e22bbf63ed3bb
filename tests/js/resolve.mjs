// `berth/session/x` is static/js/session/x.js, as templates/sessions/_session_importmap.html says.
const ROOT = new URL("../../static/js/", import.meta.url);

export function resolve(specifier, context, next) {
  if (!specifier.startsWith("berth/")) return next(specifier, context);
  return next(new URL(`${specifier.slice("berth/".length)}.js`, ROOT).href, context);
}

/** The files are modules, though no package.json says so. */
export async function load(url, context, next) {
  if (!url.startsWith(ROOT.href)) return next(url, context);
  return next(url, { ...context, format: "module" });
}
