// The counter with a script: progress while a picture goes up, its way while it is processed, a square to drag.
// Everything here works without it as well, by the forms that it takes over.
"use strict";

const page = document.body.dataset;
const $ = (id) => document.getElementById(id);
const SPACE = 512;
let number = page.picture || "";
let whole = null;

document.documentElement.classList.add("js");

function say(text, good) {
  $("message").classList.toggle("good", Boolean(good));
  $("message").textContent = text;
}

function headers(more) {
  return Object.assign({ [page.csrfHeader]: page.csrf }, more);
}

function broken() {
  say("The connection broke. Try again.");
}

async function refusal(response) {
  if (response.status === 401) return "You are not logged in any more. Reload this page and log in again.";
  const text = await response.text();
  try {
    return JSON.parse(text).detail || text;
  } catch {
    return text;
  }
}

// --- 1: handing in

function upload(file) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/dropbox/pictures");
    request.setRequestHeader(page.csrfHeader, page.csrf);
    request.setRequestHeader("Prefer", "respond-async");
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      const percent = Math.round((100 * event.loaded) / event.total);
      $("progress").value = percent;
      $("stage").textContent = percent < 100 ? `${percent} % sent` : "Sent; being looked at";
    });
    request.addEventListener("load", () => {
      const good = request.status === 200 || request.status === 202;
      if (good) return resolve(request.responseText);
      const again = request.status === 401 ? " Reload this page and log in again." : "";
      reject(new Error(request.responseText + again));
    });
    request.addEventListener("error", () => reject(new Error("The connection broke. Try again.")));
    const form = new FormData();
    form.append("Profile", file, file.name);
    request.send(form);
  });
}

async function follow(id) {
  let pause = 100;
  let missed = 0;
  for (;;) {
    const response = await fetch(`/uploads/${id}`, { headers: headers() }).catch(() => null);
    // The picture has been taken in; that nobody answers for a moment does not change that.
    if (!response || response.status === 429 || response.status === 503) {
      missed += 1;
      if (missed > 15) throw new Error(`The picture was taken in as number ${id}, but nobody says what became of it. Reload this page later.`);
      await new Promise((resolve) => setTimeout(resolve, 1000));
      continue;
    }
    if (!response.ok) throw new Error(await refusal(response));
    const upload = await response.json();
    const steps = upload.events.map((event) => {
      const item = document.createElement("li");
      item.textContent = event.detail ? `${event.what}: ${event.detail}` : event.what;
      return item;
    });
    $("steps").replaceChildren(...steps);
    if (upload.state === "ready") return;
    if (upload.state !== "accepted") throw new Error(upload.why || `The picture is ${upload.state}.`);
    $("stage").textContent = `Being processed: ${upload.stage}`;
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(2 * pause, 2000);
  }
}

async function handIn(file) {
  const button = $("hand-in").querySelector("button");
  // A file can be dropped at any time.
  if (button.disabled) return;
  say("");
  button.disabled = true;
  $("way").hidden = false;
  $("progress").value = 0;
  $("steps").replaceChildren();
  $("stage").textContent = "Being sent";
  try {
    const id = await upload(file);
    await follow(id);
    $("stage").textContent = `Ready. Its number is ${id}.`;
    await show(id);
    $("choose-title").tabIndex = -1;
    $("choose-title").focus();
  } catch (error) {
    $("stage").textContent = "";
    $("way").hidden = true;
    say(error.message);
  } finally {
    button.disabled = false;
  }
}

$("hand-in").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("file").files[0]) handIn($("file").files[0]);
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
  if (event.dataTransfer.files[0]) handIn(event.dataTransfer.files[0]);
});

// --- 2: choosing a part

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
  $("selection").setAttribute("aria-label", `Selected square: ${square.x} from the left, ${square.y} from the top, side ${square.side}`);
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
    const room = SPACE - Math.max(drag.from.x, drag.from.y);
    square.side = Math.min(room, drag.from.side + Math.max(x, y));
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
    // Whoever says where it begins has not said yet how large it is.
    if (name !== "side") square.side = Math.min(square.side, SPACE - square[name]);
    draw();
  });
}

async function crop(x, y, side) {
  const body = new URLSearchParams({ x, y, w: side, h: side });
  const response = await fetch(`/api/dropbox/pictures/${number}`, { method: "PUT", headers: headers(), body });
  if (!response.ok) return say(await refusal(response));
  say("This is the part that is shown now.", true);
  sizes();
}

$("crop").addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.submitter && event.submitter.name === "whole") Object.assign(square, { x: 0, y: 0, side: SPACE });
  draw();
  crop(square.x, square.y, square.side).catch(broken);
});

// --- 3: keeping it

function sizes() {
  for (const image of $("sizes").querySelectorAll("img")) {
    image.src = `/api/dropbox/pictures/${number}?size=${image.dataset.size}&time=${Date.now()}`;
  }
}

// A crop is always of the whole, so the whole is kept to choose from while the sizes show the part.
async function show(id) {
  number = id;
  for (const field of document.querySelectorAll("input.number")) field.value = id;
  const response = await fetch(`/api/dropbox/pictures/${id}?size=${SPACE}`);
  if (!response.ok) throw new Error(await refusal(response));
  if (whole) URL.revokeObjectURL(whole);
  whole = URL.createObjectURL(await response.blob());
  $("picture").src = whole;
  $("choose").hidden = $("keep").hidden = false;
  Object.assign(square, { x: 0, y: 0, side: SPACE });
  draw();
  sizes();
}

async function claim() {
  const body = JSON.stringify({ PictureID: number });
  const response = await fetch(`/api/users/${page.user}`, { method: "PUT", headers: headers({ "Content-Type": "application/json" }), body });
  if (!response.ok) return say(await refusal(response));
  $("avatar").src = `/api/users/${page.user}/avatar?size=75&time=${Date.now()}`;
  $("choose").hidden = $("keep").hidden = $("way").hidden = true;
  $("hand-in").reset();
  say("Saved: this is your avatar now.", true);
  $("file").focus();
}

$("claim").addEventListener("submit", (event) => {
  event.preventDefault();
  claim().catch(broken);
});

if (number) show(number).catch((error) => say(error.message));
