// The editor of one picture: the whole picture with a square to select, a preview, and the buttons that save the crop,
// use the picture and discard it. It is open for one picture at a time, and its title names the picture.

import { CropBox } from "./crop_box.js";
import { RequestError, page, send } from "./session.js";
import { runButton, showMessage } from "./messages.js";

const $ = (id) => document.getElementById(id);
const SPACE = 512;

export class PictureEditor {
  // `onUsed` and `onClosed` are called when the picture has become the avatar, and when the editor has closed.
  constructor({ onUsed, onClosed }) {
    Object.assign(this, { onUsed, onClosed, upload: null, saved: null });
    const [form, message] = [$("crop"), $("crop-message")];
    this.fields = form.elements;
    this.box = new CropBox({ stage: $("stage"), box: $("selection"), onChange: (square) => this.showSquare(square) });
    for (const name of ["x", "y", "side"]) {
      this.fields[name].addEventListener("change", () => {
        const square = { ...this.box.square, [name]: Number(this.fields[name].value) };
        // A new position limits the side. A new side moves the square if necessary.
        if (name !== "side") square.side = Math.min(square.side, this.box[name === "x" ? "width" : "height"] - square[name]);
        this.box.set(square);
      });
    }
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (event.submitter?.name === "whole") this.box.setSpace(SPACE, SPACE);
      runButton(event.submitter ?? form.querySelector("button"), message, (onSlow) => this.save(onSlow));
    });
    $("claim").addEventListener("submit", (event) => {
      event.preventDefault();
      runButton(event.submitter, $("claim-message"), (onSlow) => this.use(this.upload, onSlow));
    });
    $("close-editor").addEventListener("click", () => this.close());
  }

  isOpenFor(upload) {
    return this.upload?.id === upload.id;
  }

  async open(upload) {
    const whole = await loadPicture(`/api/dropbox/pictures/${upload.id}?size=${SPACE}`);
    this.upload = upload;
    $("editor-title").textContent = `Crop ${upload.label}`;
    for (const field of document.querySelectorAll("input.number")) field.value = upload.id;
    for (const id of ["crop-message", "claim-message"]) showMessage($(id), "");
    this.whole = whole;
    const canvas = $("whole");
    [canvas.width, canvas.height] = [whole.width, whole.height];
    canvas.getContext("2d").drawImage(whole, 0, 0);
    $("editor").hidden = false;
    this.box.setSpace(SPACE, SPACE);
    this.saved = this.cropText();
    $("editor-title").focus();
    $("editor").scrollIntoView({ block: "nearest" });
  }

  close() {
    if (!this.upload) return;
    const upload = this.upload;
    this.upload = null;
    const hadFocus = $("editor").contains(document.activeElement);
    $("editor").hidden = true;
    this.onClosed(upload, hadFocus);
  }

  showSquare({ x, y, side }) {
    Object.assign(this.fields.x, { value: x });
    Object.assign(this.fields.y, { value: y });
    Object.assign(this.fields.side, { value: side });
    if (!this.whole) return;
    const scale = this.whole.width / this.box.width;
    for (const preview of document.querySelectorAll("#previews canvas")) {
      const context = preview.getContext("2d");
      context.clearRect(0, 0, preview.width, preview.height);
      context.drawImage(this.whole, x * scale, y * scale, side * scale, side * scale, 0, 0, preview.width, preview.height);
    }
  }

  cropText() {
    const { x, y, side } = this.box.square;
    return new URLSearchParams({ x, y, w: side, h: side }).toString();
  }

  async save(onSlow) {
    const body = new URLSearchParams(this.cropText());
    await send(`/api/dropbox/pictures/${this.upload.id}`, { method: "PUT", body, onSlow });
    this.saved = this.cropText();
    return "The crop is saved.";
  }

  // Makes a picture the avatar. A crop of the picture that is not saved yet is saved first.
  async use(upload, onSlow) {
    if (this.isOpenFor(upload) && this.saved !== this.cropText()) await this.save(onSlow);
    const body = JSON.stringify({ PictureID: String(upload.id) });
    await send(`/api/users/${page.user}`, { method: "PUT", headers: { "Content-Type": "application/json" }, body, onSlow });
    if (this.isOpenFor(upload)) this.close();
    this.onUsed(upload);
  }
}

// Loads a picture with the session, so that a refusal has its message.
async function loadPicture(path) {
  const blob = await (await send(path)).blob();
  return createImageBitmap(blob).catch(() => {
    throw new RequestError("The picture could not be shown. Try again.");
  });
}
