// The user's pictures: their state, when they expire, and their buttons. The list comes from the server, so that it is
// the same after a reload.

import { element, runButton, showMessage, SLOW } from "./messages.js";
import { send, sendJson, page } from "./session.js";
import { eventText, sizeText, timeText, untilText } from "./format.js";

const PAGE_SIZE = 10;
// The time of the server when the page was loaded, because the clock of this computer may be wrong.
const clockOffset = Number(page.now) - performance.now();
const serverNow = () => clockOffset + performance.now();

const STATES = { accepted: "Processing", ready: "Ready", rejected: "Refused", failed: "Failed", expired: "Expired" };

export class UploadList {
  // `onEdit` and `onUse` get an upload of the list, and `onDiscarded` the number of one that is gone.
  constructor({ list, more, message, onEdit, onUse, onDiscarded }) {
    Object.assign(this, { list, more, message, onEdit, onUse, onDiscarded, next: null });
    more.addEventListener("click", () => runButton(more, message, () => this.load(this.next)));
  }

  // Reads the list anew from the server.
  async reload() {
    const onSlow = () => showMessage(this.message, SLOW);
    try {
      await this.load(null, onSlow);
      showMessage(this.message, "");
    } catch (error) {
      showMessage(this.message, error.message);
    }
  }

  async load(before, onSlow) {
    const query = new URLSearchParams({ kind: "dropbox", limit: PAGE_SIZE });
    if (before) query.set("before", before);
    const found = await sendJson(`/uploads?${query}`, { onSlow });
    const rows = found.uploads.filter((upload) => upload.kind === "dropbox").map((upload) => this.row(upload));
    if (before) this.list.append(...rows);
    else this.list.replaceChildren(...rows);
    if (this.list.children.length === 0) {
      this.list.append(element("li", { className: "small", textContent: "You have uploaded no pictures yet." }));
    }
    this.next = found.next ?? null;
    this.more.hidden = !this.next;
    if (before) rows[0]?.querySelector("button, summary")?.focus();
  }

  row(upload) {
    const usable = upload.state === "ready" && !upload.claimed;
    const message = element("p", { className: "message", role: "alert" });
    const buttons = element("p", { className: "buttons" });
    const button = (text, action) => {
      const made = element("button", { type: "button", textContent: text, "aria-label": `${text}: ${upload.label}` });
      made.addEventListener("click", () => runButton(made, message, (onSlow) => action(onSlow)));
      buttons.append(made, " ");
    };
    if (usable) {
      button("Crop", (onSlow) => this.onEdit(upload, onSlow));
      button("Use as my avatar", (onSlow) => this.onUse(upload, onSlow));
    }
    if (usable || upload.state === "accepted") button("Discard", (onSlow) => this.discard(upload, onSlow));
    const text = element(
      "div",
      { className: "facts-of-row" },
      element("p", { className: "name" }, element("strong", { textContent: upload.label }), ` ${sizeText(upload.bytes)}`),
      element("p", { className: "small", textContent: stateText(upload) }),
      message,
    );
    if (buttons.children.length > 0) text.append(buttons);
    text.append(this.details(upload));
    const row = element("li", { className: "row", "data-upload": String(upload.id) });
    if (usable) row.append(thumbnail(upload));
    row.append(text);
    return row;
  }

  // The internal steps of an upload, read when they are opened.
  details(upload) {
    const steps = element("ol", { className: "small" });
    const facts = element("p", { className: "small", textContent: `Number ${upload.id}, uploaded ${timeText(upload.created_at)}` });
    const details = element("details", {}, element("summary", { textContent: "Details", "aria-label": `Details: ${upload.label}` }), facts, steps);
    details.addEventListener("toggle", async () => {
      if (!details.open) return;
      try {
        const status = await sendJson(`/uploads/${upload.id}`);
        steps.replaceChildren(...status.events.map((event) => element("li", { textContent: `${timeText(event.at)}: ${eventText(event)}` })));
      } catch (error) {
        steps.replaceChildren(element("li", { textContent: error.message }));
      }
    });
    return details;
  }

  async discard(upload, onSlow) {
    if (!(await confirmed(`Discard ${upload.label}?`, "The picture is deleted. This cannot be undone.", "Discard"))) return;
    await send(`/uploads/${upload.id}`, { method: "DELETE", onSlow });
    await this.load(null, onSlow);
    this.onDiscarded(upload);
  }
}

function thumbnail(upload) {
  const address = `${page.prefix}/api/dropbox/pictures/${upload.id}?size=75&time=${Math.round(serverNow())}`;
  return element("img", { src: address, width: 75, height: 75, alt: "", className: "thumbnail" });
}

function stateText(upload) {
  if (upload.claimed) return "In use as an avatar";
  if (upload.state === "ready" && upload.expires_at) return `Ready, expires ${untilText(upload.expires_at, serverNow())}`;
  const state = upload.code === "deleted" ? "Discarded" : STATES[upload.state];
  return upload.why && state !== "Discarded" ? `${state}: ${upload.why}` : state;
}

// Asks in a dialog before something is done that cannot be undone. Resolves to whether to do it.
export function confirmed(title, text, verb) {
  const dialog = document.getElementById("confirm-dialog");
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("p").textContent = text;
  const yes = dialog.querySelector("[value=yes]");
  yes.textContent = verb;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}
