// Messages beside the control that caused them.

// Shows what failed, or with `good` what was done, and scrolls it into view. An empty text hides the message.
export function showMessage(element, text, good = false) {
  element.classList.toggle("good", good);
  element.textContent = text;
  if (text) element.scrollIntoView({ block: "nearest" });
}

// Runs what a button does. The button is disabled meanwhile, and `element` says what failed, or that the server is slow.
export async function runButton(button, element, action) {
  if (button.disabled) return;
  button.disabled = true;
  showMessage(element, "");
  const onSlow = () => showMessage(element, SLOW);
  try {
    const done = await action(onSlow);
    showMessage(element, done || "", true);
  } catch (error) {
    showMessage(element, error.message);
  } finally {
    button.disabled = false;
    // A browser takes the focus from a button that is disabled.
    if (document.activeElement === document.body && button.isConnected) button.focus();
  }
}

export const SLOW = "The server has not answered for 5 seconds. The request continues; check the connection.";

// Returns an element with these properties, attributes (`data-` and `aria-`) and children.
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}
