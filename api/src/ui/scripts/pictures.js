// The page at `/`: uploads pictures, lists them, crops them, and makes one the avatar. Without a script the same forms
// are sent to the server.

import { page, send } from "./session.js";
import { PictureEditor } from "./picture_editor.js";
import { UploadList, confirmed } from "./upload_list.js";
import { UploadQueue, acceptFiles } from "./upload_queue.js";
import { runButton, showMessage } from "./messages.js";

const $ = (id) => document.getElementById(id);

document.documentElement.classList.add("js");

const editor = new PictureEditor({
  onUsed: (upload) => {
    showAvatar();
    list.reload();
    showMessage($("notice"), `${upload.label} is now your avatar.`, true);
  },
  onClosed: (upload, hadFocus) => {
    const row = $("uploads").querySelector(`[data-upload="${upload.id}"] button`);
    if (hadFocus) (row ?? $("file")).focus();
  },
});

const list = new UploadList({
  list: $("uploads"),
  more: $("more"),
  message: $("uploads-message"),
  onEdit: (upload, onSlow) => editor.open(upload, onSlow),
  onUse: (upload, onSlow) => editor.use(upload, onSlow),
  onDiscarded: (upload) => {
    if (editor.isOpenFor(upload)) editor.close();
    showMessage($("notice"), `${upload.label} is discarded.`, true);
  },
});

// How many files were added since the queue was empty. One picture alone is opened when it is ready.
let added = 0;
const queue = new UploadQueue($("queue"), $("queue-status"), async (status, isEmpty) => {
  await list.reload();
  if (added === 1 && isEmpty) editor.open(status).catch((error) => showMessage($("upload-message"), error.message));
  if (isEmpty) added = 0;
});

acceptFiles({
  input: $("file"),
  drop: $("drop"),
  onFiles: (files) => {
    if ($("queue").children.length === 0) added = 0;
    added += files.length;
    // The buttons of another picture must not look like those of the new one.
    editor.close();
    showMessage($("upload-message"), "");
    showMessage($("notice"), "");
    queue.add(files);
  },
});

function showAvatar() {
  $("avatar").src = `${page.prefix}/api/users/${page.user}/avatar?size=75&time=${Date.now()}`;
}

$("remove-avatar").addEventListener("submit", (event) => {
  event.preventDefault();
  runButton(event.submitter, $("avatar-message"), async (onSlow) => {
    const text = "The default picture is shown instead. This cannot be undone.";
    if (!(await confirmed("Remove your avatar?", text, "Remove"))) return "";
    await send(`/api/users/${page.user}/picture`, { method: "DELETE", onSlow });
    showAvatar();
    list.reload();
    return "Your avatar is removed.";
  });
});

await list.reload();
if (page.picture) editor.open({ id: Number(page.picture) }).catch((error) => showMessage($("message"), error.message));
