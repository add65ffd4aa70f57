// The script of the page behind the address of an applink: shows a file, downloads it and uploads new versions. The
// tokens of the link come in the fragment of the address. They are kept in memory only, so that nothing of them stays
// in the browser: after a reload, the page must be opened again from the page that links to it.
import { CONNECTION_LOST, RequestError, errorText } from "./session.js";
import { sendForm, waitUntilReady } from "./upload_request.js";
import { sizeText, timeText } from "./format.js";

const page = document.body.dataset;
const $ = (id) => document.getElementById(id);
const API = `${page.prefix}/documents/api/1.2`;
const ROLES = ["viewer", "downloader", "contributor"];
// The ids stay as they are in the address. A valid id has no character that is encoded there.
const [link, file] = location.pathname.match(/\/link\/app\/([^/]+)\/fileview\/([^/]+)$/).slice(1);

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

async function getOk(address) {
  const response = await get(address);
  if (!response.ok) throw new Error(errorText(response.status, await response.text()));
  return response;
}

async function getJson(address) {
  return (await getOk(address)).json();
}

// --- the file

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
  $("size").textContent = isStored ? `${sizeText(Number(information.size))} (${Number(information.size).toLocaleString("en")} bytes)` : "unknown, because another system keeps the file";
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
async function upload(content) {
  const form = new FormData();
  form.append("primaryFile", content, content.name);
  const onProgress = (fraction, text) => {
    $("progress").value = Math.round(100 * fraction);
    showMessage("stage", text);
  };
  const address = `${API}/files/${file}/data`;
  const request = await sendForm({ address, headers: headers({ Prefer: "respond-async" }), form, onProgress });
  if (request.status === 202) return request.getResponseHeader("Location");
  if (request.status === 201) return null;
  throw new RequestError(errorText(request.status, request.responseText), request.status);
}

// With cookies, as the upload: if `realm.csrf_writes` is off, the upload may be of a session in this browser.
function waitForVersion(address) {
  const onStatus = (status) => showMessage("stage", `Processing: ${status.stage}`);
  return waitUntilReady({ get: (at) => get(at, "same-origin"), address, what: "The file", onStatus });
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
    if (address) await waitForVersion(address);
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
