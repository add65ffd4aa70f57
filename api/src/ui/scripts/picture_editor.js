// The editor of one picture: shows the whole picture, selects what of it is shown, turns it, previews the result, and
// saves it. It is open for one picture at a time, and its title names the picture.
//
// The numbers of a crop are pixels of the turned picture (`docs/contracts/dropbox.md`, 4).

import { CropBox } from "./crop_box.js";
import { RequestError, page, send, sendJson } from "./session.js";
import { runButton, showMessage } from "./messages.js";

const $ = (id) => document.getElementById(id);
// The largest size in which the server shows the whole picture, in pixels.
const SHOWN_SIZE = 512;

export class PictureEditor {
  // `onUsed` and `onClosed` are called when the picture has become the avatar, and when the editor has closed.
  constructor({ onUsed, onClosed }) {
    Object.assign(this, { onUsed, onClosed, upload: null, saved: null, shown: null });
    const [form, message] = [$("crop"), $("crop-message")];
    this.fields = form.elements;
    this.box = new CropBox({ stage: $("stage"), box: $("selection"), onChange: (square) => this.showSquare(square) });
    for (const name of ["x", "y", "side"]) this.fields[name].addEventListener("change", () => this.readField(name));
    for (const radio of this.fields.part) radio.addEventListener("change", () => this.showPart());
    this.fields.rotate.addEventListener("change", () => this.turn(0));
    $("turn-left").addEventListener("click", () => this.turn(270));
    $("turn-right").addEventListener("click", () => this.turn(90));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      runButton(event.submitter, message, (onSlow) => this.save(onSlow));
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

  async open({ id }, onSlow) {
    const status = await sendJson(`/uploads/${id}`, { onSlow });
    const picture = await loadPicture(`/api/dropbox/pictures/${id}?size=${SHOWN_SIZE}&space=picture`, onSlow);
    Object.assign(this, { upload: status, picture });
    $("editor-title").textContent = `Crop ${status.label}`;
    for (const field of document.querySelectorAll("input.number")) field.value = id;
    for (const message of ["crop-message", "claim-message"]) showMessage($(message), "");
    $("editor").hidden = false;
    this.fields.rotate.value = String(status.crop.rotate);
    this.turn(0);
    this.restore(status.crop);
    this.saved = this.cropText();
    $("editor").scrollIntoView({ block: "nearest" });
    $("editor-title").focus();
  }

  close() {
    if (!this.upload) return;
    const upload = this.upload;
    this.upload = null;
    const hadFocus = $("editor").contains(document.activeElement);
    $("editor").hidden = true;
    this.onClosed(upload, hadFocus);
  }

  // Shows a crop that was saved before, also one that another client saved.
  restore({ space, x, y, w, h, fit }) {
    const { width, height } = this.box;
    const isWhole = space === "picture" && w === width && h === height;
    // The largest square in the centre is what `cover` shows.
    this.fields.part.value = isWhole && fit === "contain" ? "contain" : "square";
    if (!isWhole) {
      const side = Math.min(width, height);
      const [scale, left, top] = space === "square" ? [side / 512, (width - side) / 2, (height - side) / 2] : [1, 0, 0];
      const square = Math.min(w, h) * scale;
      this.box.set({ x: left + (x + w / 2) * scale - square / 2, y: top + (y + h / 2) * scale - square / 2, side: square });
    }
    this.showPart();
  }

  // Turns the picture clockwise by these degrees more. The square is the largest one again.
  turn(degrees) {
    const rotate = (Number(this.fields.rotate.value) + degrees) % 360;
    this.fields.rotate.value = String(rotate);
    const { width, height } = this.upload;
    const swap = rotate % 180 === 90;
    const canvas = $("whole");
    const { width: shownWidth, height: shownHeight } = this.picture;
    [canvas.width, canvas.height] = swap ? [shownHeight, shownWidth] : [shownWidth, shownHeight];
    const context = canvas.getContext("2d");
    context.translate(canvas.width / 2, canvas.height / 2);
    context.rotate((rotate * Math.PI) / 180);
    context.drawImage(this.picture, -shownWidth / 2, -shownHeight / 2);
    const turned = rotate === 0 ? "" : `, turned by ${rotate} degrees`;
    canvas.setAttribute("aria-label", `The whole picture${turned}`);
    this.box.setSpace(...(swap ? [height, width] : [width, height]));
  }

  readField(name) {
    const square = { ...this.box.square, [name]: Number(this.fields[name].value) };
    // A new position limits the side. A new side moves the square if necessary.
    if (name !== "side") square.side = Math.min(square.side, this.box[name === "x" ? "width" : "height"] - square[name]);
    this.box.set(square);
  }

  showPart() {
    const isSquare = this.fields.part.value === "square";
    $("selection").hidden = !isSquare;
    $("numbers").hidden = !isSquare;
    for (const name of ["x", "y", "side"]) this.fields[name].disabled = !isSquare;
    this.showPreviews();
  }

  showSquare({ x, y, side }) {
    for (const [name, value] of Object.entries({ x, y, side })) {
      this.fields[name].value = value;
      this.fields[name].max = name === "side" ? Math.min(this.box.width, this.box.height) : this.box[name === "x" ? "width" : "height"] - 1;
    }
    this.showPreviews();
  }

  // Draws what the server will make of the picture.
  showPreviews() {
    const canvas = $("whole");
    const scale = canvas.width / this.box.width;
    const { x, y, side } = this.box.square;
    const part = this.fields.part.value;
    const shorter = Math.min(canvas.width, canvas.height);
    for (const preview of document.querySelectorAll("#previews canvas")) {
      const size = preview.width;
      const context = preview.getContext("2d");
      // Bars are white in JPEG and transparent in PNG.
      context.clearRect(0, 0, size, size);
      if (part === "contain") {
        const fit = size / Math.max(canvas.width, canvas.height);
        const [width, height] = [canvas.width * fit, canvas.height * fit];
        context.drawImage(canvas, (size - width) / 2, (size - height) / 2, width, height);
      } else if (part === "cover") {
        context.drawImage(canvas, (canvas.width - shorter) / 2, (canvas.height - shorter) / 2, shorter, shorter, 0, 0, size, size);
      } else {
        context.drawImage(canvas, x * scale, y * scale, side * scale, side * scale, 0, 0, size, size);
      }
    }
  }

  cropText() {
    const part = this.fields.part.value;
    const crop = { space: "picture", rotate: this.fields.rotate.value };
    const { x, y, side } = this.box.square;
    Object.assign(crop, part === "square" ? { x, y, w: side, h: side } : { fit: part });
    return new URLSearchParams(crop).toString();
  }

  async save(onSlow) {
    const text = this.cropText();
    await send(`/api/dropbox/pictures/${this.upload.id}`, { method: "PUT", body: new URLSearchParams(text), onSlow });
    this.saved = text;
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
async function loadPicture(path, onSlow) {
  const blob = await (await send(path, { onSlow })).blob();
  return createImageBitmap(blob).catch(() => {
    throw new RequestError("The picture could not be shown. Try again.");
  });
}
