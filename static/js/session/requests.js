// Writes to the server: one form, answered in JSON, failures as one sentence.

import { csrfHeaders } from "berth/ui";

export class RequestError extends Error {}

const OUTAGE = "Berth does not answer. Nothing was sent; try again in a moment.";

/**
 * @param {string} url
 * @param {Record<string, string>} fields
 * @param {{files?: File[], onProgress?: (share: number) => void}} options
 * @returns {Promise<any>} the answer. Throws RequestError with a sentence for a person.
 */
export function post(url, fields = {}, { files = [], onProgress } = {}) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  for (const file of files) body.append("files", file, file.name);
  return new Promise((resolve, reject) => {
    // Not fetch: only this tells how much of an upload has gone out.
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("Accept", "application/json");
    for (const [name, value] of Object.entries(csrfHeaders())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress?.(event.loaded / event.total);
    request.onerror = () => reject(new RequestError(OUTAGE));
    request.onload = () => {
      const answer = parse(request.responseText);
      if (request.status >= 200 && request.status < 300) resolve(answer);
      else reject(new RequestError(answer?.error?.message ?? `The server answered ${request.status}.`));
    };
    request.send(body);
  });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
