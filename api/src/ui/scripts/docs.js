// The script of the API documentation: finds operations, and sends requests from a form for each operation. The page is
// complete without it.

import { element, runButton } from "./messages.js";
import { CONNECTION_LOST, RequestError, csrfToken, page } from "./session.js";
import { sizeText } from "./format.js";

const $ = (id) => document.getElementById(id);
const operations = [...document.querySelectorAll("main details")];
// The longest text of a response that is shown, in characters.
const MAX_SHOWN = 20000;
let description = null;

document.documentElement.classList.add("js");

function search() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const operation of operations) {
    const text = `${operation.id} ${operation.textContent}`.toLowerCase();
    operation.hidden = !words.every((word) => text.includes(word));
    if (!operation.hidden) found += 1;
  }
  for (const section of document.querySelectorAll(".operations")) section.hidden = !section.querySelector("details:not([hidden])");
  $("found").textContent = words.length > 0 ? `${found} of ${operations.length} operations` : "";
}
$("search").addEventListener("input", search);

// Opens the operation of the address, such as `#addPicture`.
function openTarget() {
  const target = operations.find((operation) => operation.id === location.hash.slice(1));
  if (target) target.open = true;
}
addEventListener("hashchange", openTarget);

async function readDescription() {
  description ??= await (await fetch(`${page.prefix}/openapi.json`)).json();
  return description;
}

function resolve(schema) {
  const path = schema?.$ref?.slice(2).split(/\//) ?? [];
  return path.reduce((value, key) => value[key], path.length > 0 ? description : schema);
}

function isBytes(schema) {
  return schema.format === "binary" || "contentMediaType" in schema;
}

function exampleOf(schema) {
  const resolved = resolve(schema) ?? {};
  if (resolved.example !== undefined) return resolved.example;
  if (resolved.properties) {
    return Object.fromEntries(Object.entries(resolved.properties).map(([name, member]) => [name, exampleOf(member) ?? ""]));
  }
  return resolved.default ?? resolved.enum?.[0];
}

// A label with its input. Returns the input.
function field(form, operation, name, input, note) {
  input.id = `${operation.id}-${form.elements.length}`;
  form.append(element("label", { htmlFor: input.id, textContent: note ? `${name} (${note})` : name }), input);
  return input;
}

async function addForm(operation) {
  const place = operation.querySelector(".try");
  if (place.childElementCount > 0) return;
  const { paths } = await readDescription();
  const { method, path } = operation.dataset;
  const described = paths[path][method];
  const form = element("form", {}, element("h3", { textContent: "Try it" }));
  if (method !== "get") form.append(element("p", { className: "small", textContent: "This request changes data on this server." }));
  const parameters = (described.parameters ?? []).map((parameter) => {
    const example = parameter.example ?? exampleOf(parameter.schema) ?? "";
    const value = parameter.required ? String(example) : "";
    const note = parameter.required ? parameter.in : `${parameter.in}, optional`;
    const input = element("input", { value, required: Boolean(parameter.required), placeholder: String(example) });
    return { ...parameter, input: field(form, operation, parameter.name, input, note) };
  });
  const body = bodyFields(form, operation, described);
  const message = element("p", { className: "message", role: "alert" });
  const answer = element("div", { "aria-live": "polite" });
  form.append(element("button", { className: "primary", textContent: "Send" }), message, answer);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    runButton(event.submitter, message, () => sendRequest({ method, path, parameters, body, answer }));
  });
  place.append(form);
}

// The fields of the body. Returns a function that makes the body and its headers.
function bodyFields(form, operation, described) {
  const [kind, content] = Object.entries(described.requestBody?.content ?? {})[0] ?? [];
  if (!kind) return () => ({});
  if (kind.endsWith("json")) {
    const value = JSON.stringify(exampleOf(content.schema) ?? {}, null, 2);
    const input = field(form, operation, "Body", element("textarea", { value, rows: 6, spellcheck: false }), kind);
    return () => ({ body: input.value, headers: { "Content-Type": kind } });
  }
  const inputs = Object.entries(resolve(content.schema).properties).map(([name, member]) => {
    const schema = resolve(member);
    const example = exampleOf(content.schema)?.[name] ?? exampleOf(member) ?? "";
    const value = typeof example === "object" ? JSON.stringify(example) : String(example);
    const input = isBytes(schema) ? element("input", { type: "file" }) : element("input", { value });
    return [name, field(form, operation, name, input, "field")];
  });
  return () => {
    const body = kind === "multipart/form-data" ? new FormData() : new URLSearchParams();
    for (const [name, input] of inputs) {
      if (input.type === "file") for (const file of input.files) body.append(name, file, file.name);
      else if (input.value) body.append(name, input.value);
    }
    return { body };
  };
}

async function sendRequest({ method, path, parameters, body, answer }) {
  const made = body();
  const headers = { ...made.headers };
  const query = new URLSearchParams();
  let address = path;
  for (const { name, in: place, input } of parameters) {
    if (place === "path") address = address.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value && place === "query") query.append(name, input.value);
    else if (input.value) headers[name] = input.value;
  }
  if ($("bearer").value) headers.Authorization = `Bearer ${$("bearer").value}`;
  else if (csrfToken()) headers[page.csrfHeader] = csrfToken();
  const target = `${page.prefix}${address}${query.size > 0 ? `?${query}` : ""}`;
  const response = await fetch(target, { method: method.toUpperCase(), headers, body: made.body, cache: "no-store" }).catch(() => {
    throw new RequestError(CONNECTION_LOST);
  });
  answer.replaceChildren(
    element("p", {}, element("strong", { textContent: `${response.status} ${response.statusText}` }), ` ${method.toUpperCase()} ${target}`),
    pre("Headers of the response", [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n")),
    await content(response),
  );
}

function pre(label, text) {
  return element("pre", { tabIndex: 0, role: "group", "aria-label": label, textContent: text });
}

async function content(response) {
  const type = response.headers.get("Content-Type") ?? "";
  const bytes = await response.blob();
  if (bytes.size === 0) return element("p", { className: "small", textContent: "The response has no body." });
  if (/^image\/(png|jpeg)/.test(type)) return element("img", { src: URL.createObjectURL(bytes), alt: "The picture in the response", className: "shown" });
  if (!/^text\/|json|xml/.test(type)) return element("p", { className: "small", textContent: `${sizeText(bytes.size)} of ${type}` });
  const text = await bytes.text();
  const shown = type.includes("json") ? prettyJson(text) : text;
  return pre("Body of the response", shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}\n…` : shown);
}

function prettyJson(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

for (const operation of operations) {
  operation.addEventListener("toggle", () => {
    if (operation.open) addForm(operation).catch(() => (operation.querySelector(".try").textContent = CONNECTION_LOST));
  });
}
openTarget();
