// One upload: sends a form with progress, says when the connection stalls, and can be cancelled. Then waits until a
// worker has processed what was uploaded.

import { CONNECTION_LOST, RequestError, errorText } from "./session.js";
import { sizeText } from "./format.js";

// How long nothing may move before the upload counts as stalled, in milliseconds.
const STALLED_AFTER = 4000;

// Sends `form`. `onProgress` gets a fraction from 0 to 1 and a text. Aborting `signal` cancels the upload. Resolves to
// the request, whatever its status is.
export function sendForm({ address, headers, form, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let moved = performance.now();
    let said = { fraction: 0, text: "Starting" };
    const say = (fraction, text) => {
      moved = performance.now();
      said = { fraction, text };
      onProgress(fraction, text);
    };
    const watch = setInterval(() => {
      const seconds = Math.floor((performance.now() - moved) / 1000);
      if (performance.now() - moved < STALLED_AFTER) return;
      onProgress(said.fraction, `Stalled: nothing has moved for ${seconds} seconds. Check the connection, or cancel.`);
    }, 500);
    const cancel = () => request.abort();
    const end = (settle, value) => {
      clearInterval(watch);
      signal?.removeEventListener("abort", cancel);
      settle(value);
    };
    request.open("POST", address);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      const fraction = event.loaded / event.total;
      const percent = Math.floor(100 * fraction);
      if (fraction < 1) say(fraction, `${sizeText(event.loaded)} of ${sizeText(event.total)} uploaded (${percent} %)`);
      else say(1, "Uploaded. Waiting for the server");
    });
    request.addEventListener("load", () => end(resolve, request));
    request.addEventListener("error", () => end(reject, new RequestError(CONNECTION_LOST)));
    request.addEventListener("abort", () => end(reject, new RequestError("Cancelled.")));
    signal?.addEventListener("abort", cancel);
    onProgress(0, "Starting");
    request.send(form);
  });
}

// Waits until the upload at `address` has ended. `get` sends a GET and resolves to a response. `onStatus` gets each
// status. Resolves to the last status, which is one of a ready upload.
export async function waitUntilReady({ get, address, what, signal, onStatus }) {
  let failures = 0;
  for (let pause = 100; ; pause = Math.min(2 * pause, 2000)) {
    if (signal?.aborted) throw new RequestError("Cancelled.");
    const response = await get(address).catch(() => null);
    // The upload has been accepted. A server that does not answer for a moment does not change that.
    if (!response || response.status === 429 || response.status === 503) {
      failures += 1;
      if (failures > 15) throw new RequestError(`${what} was accepted, but the server does not answer. Open this page again later.`);
      onStatus({ state: "accepted", stage: "the server does not answer, trying again", events: [] });
      await sleep(1000);
      continue;
    }
    if (!response.ok) throw new RequestError(errorText(response.status, await response.text()), response.status);
    const status = await response.json();
    onStatus(status);
    if (status.state === "ready") return status;
    if (status.state !== "accepted") throw new RequestError(status.why || `${what} is in the state "${status.state}".`);
    await sleep(pause);
  }
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
