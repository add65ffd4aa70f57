// The script of the page behind the address of an applink: shows a file, downloads it and uploads new versions. The
// tokens of the link come in the fragment of the address. They are kept in memory only, so that nothing of them stays
// in the browser: after a reload, the page must be opened again from the page that links to it.
"use strict";

const page = document.body.dataset;
const $ = (id) => document.getElementById(id);
const API = `${page.prefix}/documents/api/1.2`;
const ROLES = ["viewer", "downloader", "contributor"];
// The ids stay as they are in the address. A valid id has no character that is encoded there.
const [link, file] = location.pathname.match(/\/link\/app\/([^/]+)\/fileview\/([^/]+)$/).slice(1);

const CONNECTION_LOST = "The connection to the server was lost. Try again.";
const NO_TOKEN =
  "This page was opened without a valid access token, or it was loaded again. Open it again from the page that links to it.";

const tokens = { access: "", refresh: "" };
let shown = null;
let preview = null;
let downloaded = null;

function showMessage(id, text) {
  $(id).textContent = text;
}

// A browser takes the focus from a button that is disabled.
function enable(button) {
  button.disabled = false;
  if (document.activeElement === document.body) button.focus();
}

// --- the credential

// Takes the tokens out of the address, so that they are in no bookmark, history entry or screenshot.
function takeTokens() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (!fragment.has("accessToken")) return false;
  // A header has visible ASCII characters only, and so has every token.
  const token = (name) => (/^[!-~]+$/.test(fragment.get(name) || "") ? fragment.get(name) : "");
  [tokens.access, tokens.refresh] = [token("accessToken"), token("refreshToken")];
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

function headers(more) {
  return Object.assign({ appLinkID: link, accessToken: tokens.access }, more);
}

// Cookies are left out, so that the rights of the link count and not those of a session in the same browser.
async function send(address, method, more, credentials) {
  try {
    return await fetch(address, { method, headers: headers(more), credentials: credentials || "omit", cache: "no-store" });
  } catch {
    throw new Error(CONNECTION_LOST);
  }
}

// The documents API refuses an expired access token with 400 and the code -26, other APIs with 401.
async function isTokenRefused(response) {
  if (response.status === 401) return true;
  if (response.status !== 400) return false;
  const body = await response.clone().json().catch(() => ({}));
  return body.errorCode === "-26";
}

async function refreshToken() {
  if (!tokens.refresh) return false;
  const response = await send(`${API}/applinks/token`, "PUT", { refreshToken: tokens.refresh });
  if (!response.ok) return false;
  tokens.access = (await response.json()).accessToken;
  return true;
}

// Sends a GET. If the access token is refused, gets another one and sends the GET once more.
async function get(address, credentials) {
  const response = await send(address, "GET", {}, credentials);
  if ((await isTokenRefused(response)) && (await refreshToken())) return send(address, "GET", {}, credentials);
  return response;
}

function errorMessage(status, text) {
  try {
    const body = JSON.parse(text);
    if (body.errorMessage || body.detail) return body.errorMessage || body.detail;
  } catch {
    // A proxy in front of the server may answer in another format.
  }
  return `The server answered with the status ${status}. Try again later.`;
}

async function getOk(address) {
  const response = await get(address);
  if (!response.ok) throw new Error(errorMessage(response.status, await response.text()));
  return response;
}

async function getJson(address) {
  return (await getOk(address)).json();
}

// --- the file

function sizeText(bytes) {
  const mib = bytes / 2 ** 20;
  const text = mib < 0.01 ? "less than 0.01 MiB" : `${mib.toFixed(2)} MiB`;
  return `${text} (${bytes.toLocaleString("en")} bytes)`;
}

function timeText(time) {
  const format = { year: "numeric", month: "long", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
  return new Date(time).toLocaleString("en", format);
}

async function showPreview(information) {
  const hasThumbnail = (information.renditions || []).some((one) => one.renditionType === "system" && one.name === "thumbnail1");
  const address = `${API}/files/${file}/data/rendition?rendition=thumbnail1&version=${information.version}`;
  // Without a preview the page is still useful.
  const response = hasThumbnail ? await get(address).catch(() => null) : null;
  if (preview) URL.revokeObjectURL(preview);
  preview = response && response.ok ? URL.createObjectURL(await response.blob()) : null;
  $("preview").hidden = !preview;
  if (preview) $("preview").src = preview;
}

async function showFile() {
  const information = await getJson(`${API}/files/${file}?includeRenditions=true`);
  const { role } = await getJson(`${API}/applinks/${link}`);
  shown = information;
  showMessage("download-status", "");
  showMessage("download-message", "");
  $("name").textContent = information.name;
  document.title = `${information.name} - Cloakroom`;
  // A file that another system keeps has neither a size nor a type here, and cannot be downloaded.
  const isStored = information.size !== undefined;
  $("size").textContent = isStored ? sizeText(Number(information.size)) : "unknown, because another system keeps the file";
  $("type").textContent = information.mimeType || "unknown";
  $("version").textContent = information.version;
  $("uploaded").textContent = `${timeText(information.modifiedTime)} by ${information.modifiedBy.displayName}`;
  $("uploaded").dateTime = information.modifiedTime;
  const atLeast = (least) => ROLES.indexOf(role) >= ROLES.indexOf(least);
  $("download").hidden = !isStored || !atLeast("downloader");
  $("upload-section").hidden = !atLeast("contributor");
  await showPreview(information);
  $("file-section").hidden = false;
}

async function load() {
  try {
    if (!tokens.access) throw new Error(NO_TOKEN);
    await showFile();
    showMessage("message", "");
  } catch (error) {
    $("file-section").hidden = $("upload-section").hidden = true;
    $("name").textContent = "File";
    document.title = "File - Cloakroom";
    showMessage("message", error.message);
  }
}

// --- download

async function download() {
  const response = await getOk(`${API}/files/${file}/data?version=${shown.version}`);
  // Without its type, because the browser must save the file and not show it in this page's origin.
  const content = new Blob([await response.blob()], { type: "application/octet-stream" });
  if (downloaded) URL.revokeObjectURL(downloaded);
  downloaded = URL.createObjectURL(content);
  const anchor = document.createElement("a");
  anchor.href = downloaded;
  anchor.download = shown.name;
  anchor.click();
}

$("download").addEventListener("click", async () => {
  $("download").disabled = true;
  showMessage("download-message", "");
  showMessage("download-status", "Downloading");
  try {
    await download();
    showMessage("download-status", "Downloaded.");
  } catch (error) {
    showMessage("download-status", "");
    // The connection can also end while the content arrives.
    showMessage("download-message", error instanceof TypeError ? CONNECTION_LOST : error.message);
  } finally {
    enable($("download"));
  }
});

// --- upload

// Resolves to the address of the upload's status, or to null if the version is ready already.
function upload(content) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${API}/files/${file}/data`);
    for (const [name, value] of Object.entries(headers({ Prefer: "respond-async" }))) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      const percent = Math.round((100 * event.loaded) / event.total);
      $("progress").value = percent;
      showMessage("stage", percent < 100 ? `${percent} % uploaded` : "Uploaded. Waiting for the server.");
    });
    request.addEventListener("load", () => {
      if (request.status === 202) return resolve(request.getResponseHeader("Location"));
      if (request.status === 201) return resolve(null);
      reject(new Error(errorMessage(request.status, request.responseText)));
    });
    request.addEventListener("error", () => reject(new Error(CONNECTION_LOST)));
    const form = new FormData();
    form.append("primaryFile", content, content.name);
    request.send(form);
  });
}

async function waitUntilReady(address) {
  let pause = 100;
  let failures = 0;
  for (;;) {
    // With cookies, as the upload: if `realm.csrf_writes` is off, the upload may be of a session in this browser.
    const response = await get(address, "same-origin").catch(() => null);
    // The file has been accepted. A server that does not answer for a moment does not change that.
    if (!response || response.status === 429 || response.status === 503) {
      failures += 1;
      if (failures > 15) throw new Error("The file was accepted, but the server does not answer. Open this page again later.");
      await new Promise((resolve) => setTimeout(resolve, 1000));
      continue;
    }
    if (!response.ok) throw new Error(errorMessage(response.status, await response.text()));
    const status = await response.json();
    if (status.state === "ready") return;
    if (status.state !== "accepted") throw new Error(status.why || `The upload is in the state "${status.state}".`);
    showMessage("stage", `Processing: ${status.stage}`);
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(2 * pause, 2000);
  }
}

async function startUpload(content) {
  const button = $("upload").querySelector("button");
  showMessage("upload-message", "");
  showMessage("stage", "");
  if (content.size > Number(page.maxBytes)) {
    showMessage("upload-message", `The file is larger than ${page.limit}. Choose a smaller file.`);
    return;
  }
  button.disabled = true;
  $("progress").value = 0;
  try {
    // This replaces an access token that has expired, so that the content is not sent in vain.
    await getJson(`${API}/applinks/${link}`);
    $("upload-progress").hidden = false;
    showMessage("stage", "Uploading");
    const address = await upload(content);
    if (address) await waitUntilReady(address);
    await showFile();
    $("upload").reset();
    showMessage("stage", `Version ${shown.version} is ready.`);
  } catch (error) {
    showMessage("stage", "");
    showMessage("upload-message", error.message);
  } finally {
    $("upload-progress").hidden = true;
    enable(button);
  }
}

$("upload").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("file").files[0]) startUpload($("file").files[0]);
});

// The page that embeds this one may hand over new tokens by a new fragment.
addEventListener("hashchange", () => {
  if (takeTokens()) load();
});
takeTokens();
load();
