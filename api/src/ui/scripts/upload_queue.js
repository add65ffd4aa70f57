// Uploads of several pictures at once. Each has a row with its progress, its buttons and its message. A picture that is
// ready leaves the queue.

import { LOGGED_OUT, RequestError, csrfHeaders, errorText, logInAgain, page, send } from "./session.js";
import { element, showMessage } from "./messages.js";
import { sendForm, waitUntilReady } from "./upload_request.js";
import { eventText, sentenceCase, sizeText } from "./format.js";

// How many uploads run at a time. Further ones wait, so that the first pictures are ready early.
const AT_ONCE = 2;

const STATES = { accepted: "Processing", staged: "Processing", queued: "Waiting for a worker", attempt: "Processing" };

export class UploadQueue {
  // `onReady` gets the status of an upload that is ready, and whether the queue is empty then.
  constructor(list, announcement, onReady) {
    Object.assign(this, { list, announcement, onReady, waiting: [], running: 0 });
  }

  add(files) {
    for (const file of files) {
      const row = new UploadRow(file, this);
      this.list.append(row.item);
      if (file.size > Number(page.maxBytes)) {
        row.fail(`The picture has ${sizeText(file.size)}, and the limit is ${page.limit}. Choose a smaller picture.`, false);
      } else {
        this.enqueue(row);
      }
    }
  }

  enqueue(row) {
    this.waiting.push(row);
    this.runNext();
  }

  runNext() {
    while (this.running < AT_ONCE && this.waiting.length > 0) {
      this.running += 1;
      this.waiting.shift().run().finally(() => {
        this.running -= 1;
        this.runNext();
      });
    }
  }

  // Takes a row out. The focus goes to the row after it, to the one before it, or to the file chooser.
  remove(row) {
    this.waiting = this.waiting.filter((other) => other !== row);
    const hadFocus = row.item.contains(document.activeElement);
    const next = row.item.nextElementSibling ?? row.item.previousElementSibling;
    row.item.remove();
    if (hadFocus) (next?.querySelector("button:not([hidden])") ?? document.getElementById("file")).focus();
  }

  announce(text) {
    this.announcement.textContent = text;
  }
}

class UploadRow {
  constructor(file, queue) {
    Object.assign(this, { file, queue });
    this.label = file.name || "Pasted picture";
    this.progress = element("progress", { max: 100, value: 0, "aria-label": `Progress of ${this.label}` });
    this.stage = element("p", { className: "small stage", textContent: "Waiting for the uploads before it" });
    this.message = element("p", { className: "message", role: "alert" });
    this.steps = element("ol", { className: "small" });
    this.details = element("details", { hidden: true }, element("summary", { textContent: "Details" }), this.steps);
    this.cancelButton = this.button("Cancel", () => this.cancel());
    this.retryButton = this.button("Retry", () => this.retry());
    this.removeButton = this.button("Remove", () => queue.remove(this));
    this.retryButton.hidden = this.removeButton.hidden = true;
    this.item = element(
      "li",
      { className: "row" },
      element("p", { className: "name" }, element("strong", { textContent: this.label }), ` ${sizeText(file.size)}`),
      this.progress,
      this.stage,
      this.message,
      element("p", { className: "buttons" }, this.cancelButton, " ", this.retryButton, " ", this.removeButton),
      this.details,
    );
    this.renewKey();
  }

  button(text, action) {
    const made = element("button", { type: "button", textContent: text, "aria-label": `${text}: ${this.label}` });
    made.addEventListener("click", action);
    return made;
  }

  // With the same key the server answers a repeated request with the upload that exists.
  renewKey() {
    this.id = null;
    this.key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    this.abort = new AbortController();
  }

  async run() {
    this.show("running");
    try {
      this.id = await this.upload();
      const status = await waitUntilReady({
        get: (path) => this.get(path),
        address: `/uploads/${this.id}`,
        what: "The picture",
        signal: this.abort.signal,
        onStatus: (status) => this.showStatus(status),
      });
      this.queue.announce(`${this.label} is ready.`);
      this.queue.remove(this);
      this.queue.onReady(status, this.queue.list.children.length === 0);
    } catch (error) {
      // The server has refused the picture. It would refuse it again.
      const isRefused = this.refused || [400, 413, 415, 422].includes(error.status);
      this.fail(error.message, !isRefused);
    }
  }

  async upload() {
    for (let attempt = 1; ; attempt += 1) {
      const form = new FormData();
      form.append("Profile", this.file, this.label);
      const headers = { ...csrfHeaders(), Prefer: "respond-async", "Idempotency-Key": this.key };
      const address = `${page.prefix}/api/dropbox/pictures`;
      const onProgress = (fraction, text) => this.showProgress(fraction, text);
      let request;
      try {
        request = await sendForm({ address, headers, form, signal: this.abort.signal, onProgress });
      } catch (error) {
        if (attempt > 1 || this.abort.signal.aborted || !(await this.isLoggedOut())) throw error;
      }
      if (request && (request.status === 200 || request.status === 202)) return request.responseText;
      if (request && request.status !== 401) throw new RequestError(errorText(request.status, request.responseText), request.status);
      if (attempt > 1) throw new RequestError(LOGGED_OUT, 401);
      this.showProgress(0, "Waiting for you to log in");
      await logInAgain();
    }
  }

  // A server that refuses a large body may close the connection before the browser has read the answer.
  async isLoggedOut() {
    const response = await fetch(`${page.prefix}/uploads?limit=1`, { headers: csrfHeaders() }).catch(() => null);
    return response?.status === 401;
  }

  async get(path) {
    const response = await fetch(page.prefix + path, { headers: csrfHeaders(), signal: AbortSignal.timeout(10000) });
    if (response.status === 401) await logInAgain();
    return response.status === 401 ? fetch(page.prefix + path, { headers: csrfHeaders() }) : response;
  }

  showProgress(fraction, text) {
    this.progress.value = Math.round(100 * fraction);
    this.stage.textContent = text;
    this.stage.classList.toggle("stalled", text.startsWith("Stalled"));
  }

  showStatus(status) {
    this.refused = status.state === "rejected";
    this.showProgress(1, STATES[status.stage] ?? sentenceCase(status.stage));
    this.details.hidden = status.events.length === 0;
    this.steps.replaceChildren(...status.events.map((event) => element("li", { textContent: eventText(event) })));
  }

  show(state) {
    const failed = state === "failed";
    this.progress.hidden = this.stage.hidden = this.cancelButton.hidden = failed;
    this.removeButton.hidden = !failed;
    if (!failed) this.retryButton.hidden = true;
    this.item.classList.toggle("failed", failed);
  }

  fail(text, canRetry) {
    const hadFocus = this.item.contains(document.activeElement);
    this.show("failed");
    this.retryButton.hidden = !canRetry;
    showMessage(this.message, text);
    if (hadFocus) (canRetry ? this.retryButton : this.removeButton).focus();
  }

  retry() {
    // An upload that was accepted and has failed gets a new key, because the old one would return the failed upload.
    if (this.id || this.abort.signal.aborted) this.renewKey();
    showMessage(this.message, "");
    this.show("running");
    this.showProgress(0, "Waiting for the uploads before it");
    this.cancelButton.focus();
    this.queue.enqueue(this);
  }

  // A picture that is being processed already is deleted.
  cancel() {
    this.abort.abort();
    if (this.queue.waiting.includes(this)) {
      this.queue.waiting = this.queue.waiting.filter((other) => other !== this);
      this.fail("Cancelled.", true);
    }
    if (this.id) send(`/uploads/${this.id}`, { method: "DELETE" }).catch(() => {});
  }
}

// Lets the user choose, drop and paste files. `onFiles` gets them.
export function acceptFiles({ input, drop, onFiles }) {
  input.multiple = true;
  // The button of the form is for browsers without a script.
  input.form.querySelector("button").hidden = true;
  input.form.addEventListener("submit", (event) => event.preventDefault());
  input.addEventListener("change", () => {
    onFiles([...input.files]);
    input.value = "";
  });
  // A file that misses the area must not replace the page.
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      if (name === "drop" || !event.relatedTarget) drop.classList.remove("over");
    });
  }
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    onFiles([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length === 0) return;
    event.preventDefault();
    onFiles(files);
  });
}
