// The script of the page: shows the progress of an upload and the steps of its processing, and a square to drag.
// The page works without this script too, because the script takes over forms that the server accepts.
"use strict";

const page = document.body.dataset;
const $ = (id) => document.getElementById(id);
const SPACE = 512;
let number = page.picture || "";
let whole = null;

document.documentElement.classList.add("js");

function showMessage(text, good) {
  $("message").classList.toggle("good", Boolean(good));
  $("message").textContent = text;
}

function headers(more) {
  return Object.assign({ [page.csrfHeader]: page.csrf }, more);
}

const CONNECTION_LOST = "The connection to the server was lost. Try again.";

function showConnectionLost() {
  showMessage(CONNECTION_LOST);
}

async function errorMessage(response) {
  if (response.status === 401) return "Your session has ended. Reload this page and log in again.";
  const text = await response.text();
  try {
    return JSON.parse(text).detail || text;
  } catch {
    return text;
  }
}

// --- 1: upload

function upload(file) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${page.prefix}/api/dropbox/pictures`);
    request.setRequestHeader(page.csrfHeader, page.csrf);
    request.setRequestHeader("Prefer", "respond-async");
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      const percent = Math.round((100 * event.loaded) / event.total);
      $("progress").value = percent;
      $("stage").textContent = percent < 100 ? `${percent} % uploaded` : "Uploaded. Waiting for the server.";
    });
    request.addEventListener("load", () => {
      const good = request.status === 200 || request.status === 202;
      if (good) return resolve(request.responseText);
      if (request.status === 401) return reject(new Error("Your session has ended. Reload this page and log in again."));
      reject(new Error(request.responseText));
    });
    request.addEventListener("error", () => reject(new Error(CONNECTION_LOST)));
    const form = new FormData();
    form.append("Profile", file, file.name);
    request.send(form);
  });
}

async function waitUntilReady(id) {
  let pause = 100;
  let failures = 0;
  for (;;) {
    const response = await fetch(`${page.prefix}/uploads/${id}`, { headers: headers() }).catch(() => null);
    // The picture has been accepted. A server that does not answer for a moment does not change that.
    if (!response || response.status === 429 || response.status === 503) {
      failures += 1;
      if (failures > 15) throw new Error(`The picture was accepted as number ${id}, but the server does not answer. Reload this page later.`);
      await new Promise((resolve) => setTimeout(resolve, 1000));
      continue;
    }
    if (!response.ok) throw new Error(await errorMessage(response));
    const upload = await response.json();
    const steps = upload.events.map((event) => {
      const item = document.createElement("li");
      item.textContent = event.detail ? `${event.what}: ${event.detail}` : event.what;
      return item;
    });
    $("steps").replaceChildren(...steps);
    if (upload.state === "ready") return;
    if (upload.state !== "accepted") throw new Error(upload.why || `The picture is in the state "${upload.state}".`);
    $("stage").textContent = `Processing: ${upload.stage}`;
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(2 * pause, 2000);
  }
}

async function startUpload(file) {
  const button = $("upload").querySelector("button");
  // A file can be dropped at any time.
  if (button.disabled) return;
  showMessage("");
  button.disabled = true;
  $("upload-status").hidden = false;
  $("progress").value = 0;
  $("steps").replaceChildren();
  $("stage").textContent = "Uploading";
  try {
    const id = await upload(file);
    await waitUntilReady(id);
    $("stage").textContent = `Ready. The number of the picture is ${id}.`;
    await show(id);
    $("crop-title").tabIndex = -1;
    $("crop-title").focus();
  } catch (error) {
    $("stage").textContent = "";
    $("upload-status").hidden = true;
    showMessage(error.message);
  } finally {
    button.disabled = false;
  }
}

$("upload").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("file").files[0]) startUpload($("file").files[0]);
});

for (const name of ["dragenter", "dragover"]) {
  $("drop").addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  $("drop").addEventListener(name, () => $("drop").classList.remove("over"));
}
$("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files[0]) startUpload(event.dataTransfer.files[0]);
});

// --- 2: crop

const square = { x: 0, y: 0, side: SPACE };

function limit() {
  square.side = Math.max(8, Math.min(SPACE, Math.round(square.side)));
  square.x = Math.max(0, Math.min(SPACE - square.side, Math.round(square.x)));
  square.y = Math.max(0, Math.min(SPACE - square.side, Math.round(square.y)));
}

function draw() {
  limit();
  const box = $("selection").style;
  box.left = `${(100 * square.x) / SPACE}%`;
  box.top = `${(100 * square.y) / SPACE}%`;
  box.right = box.bottom = "auto";
  box.width = box.height = `${(100 * square.side) / SPACE}%`;
  for (const name of ["x", "y", "side"]) $("crop").elements[name].value = square[name];
  $("selection").setAttribute("aria-label", `Selected square: ${square.x} from the left, ${square.y} from the top, side length ${square.side}`);
}

let drag = null;
$("selection").addEventListener("pointerdown", (event) => {
  drag = { grip: event.target.id === "grip", x: event.clientX, y: event.clientY, from: { ...square } };
  $("selection").setPointerCapture(event.pointerId);
  event.preventDefault();
  $("selection").focus();
});
$("selection").addEventListener("pointermove", (event) => {
  if (!drag) return;
  const scale = SPACE / $("frame").clientWidth;
  const [x, y] = [(event.clientX - drag.x) * scale, (event.clientY - drag.y) * scale];
  if (drag.grip) {
    const maxSide = SPACE - Math.max(drag.from.x, drag.from.y);
    square.side = Math.min(maxSide, drag.from.side + Math.max(x, y));
  } else {
    Object.assign(square, { x: drag.from.x + x, y: drag.from.y + y });
  }
  draw();
});
for (const name of ["pointerup", "pointercancel"]) {
  $("selection").addEventListener(name, () => (drag = null));
}
$("selection").addEventListener("keydown", (event) => {
  const step = event.shiftKey ? 32 : 8;
  const moves = {
    ArrowLeft: () => (square.x -= step),
    ArrowRight: () => (square.x += step),
    ArrowUp: () => (square.y -= step),
    ArrowDown: () => (square.y += step),
    "+": () => (square.side += step),
    "=": () => (square.side += step),
    "-": () => (square.side -= step),
    _: () => (square.side -= step),
  };
  if (!moves[event.key]) return;
  event.preventDefault();
  moves[event.key]();
  draw();
});
for (const name of ["x", "y", "side"]) {
  $("crop").elements[name].addEventListener("change", (event) => {
    square[name] = Number(event.target.value) || 0;
    // A new position limits the side. A new side moves the square if necessary.
    if (name !== "side") square.side = Math.min(square.side, SPACE - square[name]);
    draw();
  });
}

async function crop(x, y, side) {
  const body = new URLSearchParams({ x, y, w: side, h: side });
  const response = await fetch(`${page.prefix}/api/dropbox/pictures/${number}`, { method: "PUT", headers: headers(), body });
  if (!response.ok) return showMessage(await errorMessage(response));
  showMessage("The picture is cropped.", true);
  showSizes();
}

$("crop").addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.submitter && event.submitter.name === "whole") Object.assign(square, { x: 0, y: 0, side: SPACE });
  draw();
  crop(square.x, square.y, square.side).catch(showConnectionLost);
});

// --- 3: claim

function showSizes() {
  for (const image of $("sizes").querySelectorAll("img")) {
    image.src = `${page.prefix}/api/dropbox/pictures/${number}?size=${image.dataset.size}&time=${Date.now()}`;
  }
}

// A crop is always relative to the whole picture. So the whole picture is shown here, while the sizes show the crop.
async function show(id) {
  number = id;
  for (const field of document.querySelectorAll("input.number")) field.value = id;
  const response = await fetch(`${page.prefix}/api/dropbox/pictures/${id}?size=${SPACE}`);
  if (!response.ok) throw new Error(await errorMessage(response));
  if (whole) URL.revokeObjectURL(whole);
  whole = URL.createObjectURL(await response.blob());
  $("picture").src = whole;
  $("crop-section").hidden = $("claim-section").hidden = false;
  Object.assign(square, { x: 0, y: 0, side: SPACE });
  draw();
  showSizes();
}

async function claim() {
  const body = JSON.stringify({ PictureID: number });
  const response = await fetch(`${page.prefix}/api/users/${page.user}`, { method: "PUT", headers: headers({ "Content-Type": "application/json" }), body });
  if (!response.ok) return showMessage(await errorMessage(response));
  $("avatar").src = `${page.prefix}/api/users/${page.user}/avatar?size=75&time=${Date.now()}`;
  $("crop-section").hidden = $("claim-section").hidden = $("upload-status").hidden = true;
  $("upload").reset();
  showMessage("The picture is now your avatar.", true);
  $("file").focus();
}

$("claim").addEventListener("submit", (event) => {
  event.preventDefault();
  claim().catch(showConnectionLost);
});

if (number) show(number).catch((error) => showMessage(error.message));
