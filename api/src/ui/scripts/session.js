// The session of the page: requests with its CSRF token, and a dialog to log in again when the session has ended. The
// dialog leaves the page as it is, so that chosen files and typed values stay, and the request is sent once more.

export const page = document.body.dataset;

export const CONNECTION_LOST = "The connection to the server was lost. Check the connection and try again.";
export const LOGGED_OUT = "Your session has ended. Log in again to continue.";

// An error of a request, with its text for the user and the status of the response. The status is 0 without one.
export class RequestError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

// The dialog, while it is open.
let loggingIn = null;

// A log-in in another tab replaces the cookie, so that the token in the page is out of date.
export function csrfToken() {
  const cookies = document.cookie.split("; ").map((cookie) => cookie.split("="));
  const current = cookies.find(([name]) => name === page.csrfCookie);
  return current ? current.slice(1).join("=") : page.csrf;
}

export function csrfHeaders() {
  return { [page.csrfHeader]: csrfToken() };
}

// Forms without a script have the token in a field.
function renewFields() {
  for (const field of document.getElementsByName(page.csrfHeader)) field.value = csrfToken();
}

// A login as another user must not continue what this user began.
async function logIn(email, password) {
  const response = await fetch(`${page.prefix}/api/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email, password }),
  });
  if (!response.ok) throw new RequestError(errorText(response.status, await response.text()), response.status);
  const { id } = await response.json();
  if (id !== page.user) location.reload();
  renewFields();
}

// Asks for the password in a dialog. Resolves once the user is logged in.
export function logInAgain() {
  loggingIn ??= new Promise((resolve, reject) => {
    const dialog = document.getElementById("login-dialog");
    const form = dialog.querySelector("form");
    const message = dialog.querySelector(".message");
    const before = document.activeElement;
    form.onsubmit = async (event) => {
      event.preventDefault();
      message.textContent = "";
      try {
        await logIn(form.elements.email.value, form.elements.password.value);
        resolve();
        dialog.close();
      } catch (error) {
        message.textContent = error instanceof RequestError ? error.message : CONNECTION_LOST;
        form.elements.password.select();
      }
    };
    dialog.querySelector("[data-close]").onclick = () => dialog.close();
    dialog.onclose = () => {
      loggingIn = null;
      form.elements.password.value = message.textContent = "";
      // Without effect if the user has logged in.
      reject(new RequestError(LOGGED_OUT, 401));
      if (before && before !== document.body) before.focus();
    };
    dialog.showModal();
    (form.elements.email.value ? form.elements.password : form.elements.email).focus();
  });
  return loggingIn;
}

// The text of an error: `errorMessage` of the documents API, `detail` of a problem document, or a plain text.
export function errorText(status, text) {
  try {
    const body = JSON.parse(text);
    if (body.errorMessage || body.detail) return sentence(body.errorMessage || body.detail);
  } catch {
    // A proxy in front of the server answers with a page.
    if (text && !text.trimStart().startsWith("<") && text.length < 500) return sentence(text);
  }
  return `The server answered with the status ${status}. Try again later.`;
}

function sentence(text) {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

// Sends a request to a path of this server. After 401 the user logs in, and the request is sent once more. `onSlow` is
// called when the server has not answered for five seconds.
export async function send(path, { method = "GET", headers = {}, body, onSlow } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const slow = onSlow && setTimeout(onSlow, 5000);
    let response;
    try {
      response = await fetch(page.prefix + path, { method, headers: { ...csrfHeaders(), ...headers }, body, cache: "no-store" });
    } catch {
      throw new RequestError(CONNECTION_LOST);
    } finally {
      clearTimeout(slow);
    }
    if (response.status === 401 && attempt === 1) {
      await logInAgain();
      continue;
    }
    if (!response.ok) throw new RequestError(errorText(response.status, await response.text()), response.status);
    return response;
  }
}

export async function sendJson(path, options) {
  const response = await send(path, options);
  try {
    return await response.json();
  } catch {
    throw new RequestError(CONNECTION_LOST);
  }
}
