// Dropped or picked things as a flat list of files with their relative paths.

/** @typedef {{file: File, names: string[]}} PickedFile `names` are the folders and the name. */

/**
 * Must be called while the drop event runs: its items are gone afterwards.
 * @param {DataTransfer} transfer
 * @returns {Promise<{files: PickedFile[], emptyFolders: string[][], unreadable: number}>}
 */
export async function readDrop(transfer) {
  const roots = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile())
    .filter(Boolean);
  const found = { files: [], emptyFolders: [], unreadable: 0 };
  for (const root of roots) {
    if (root instanceof File) found.files.push({ file: root, names: [root.name] });
    else await walk(root, [], found);
  }
  return found;
}

/** @param {FileList} list @returns {PickedFile[]} */
export function readPicked(list) {
  return [...list].map((file) => ({
    file,
    names: file.webkitRelativePath ? file.webkitRelativePath.split("/") : [file.name],
  }));
}

async function walk(entry, above, found) {
  const names = [...above, entry.name];
  try {
    if (entry.isFile) {
      found.files.push({ file: await fileOf(entry), names });
      return;
    }
    const children = await childrenOf(entry);
    if (!children.length) found.emptyFolders.push(names);
    for (const child of children) await walk(child, names, found);
  } catch {
    found.unreadable += 1;
  }
}

function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** A reader gives up to a hundred entries at a time, and none at the end. */
async function childrenOf(folder) {
  const reader = folder.createReader();
  const children = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return children;
    children.push(...some);
  }
}
