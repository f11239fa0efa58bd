// What htmx does not do: the dialog, dropping a file, dragging audiences, copying. No state is kept.
"use strict";

const dialog = document.getElementById("dialog");
const dialogBody = document.getElementById("dialog-body");
const notices = document.getElementById("notices");

// On a phone the menu is a strip: the page that is shown stands in it.
const strip = document.querySelector(".side nav");
const current = strip?.querySelector("[aria-current=page]");
if (current && strip.scrollWidth > strip.clientWidth) {
  strip.scrollLeft = current.offsetLeft - (strip.clientWidth - current.offsetWidth) / 2;
}

// The dialog shows whatever a link asked for; it is emptied when it closes.
document.addEventListener("htmx:afterSwap", (event) => {
  const target = event.detail.target;
  if (target === dialogBody && dialogBody.firstElementChild && !dialog.open) dialog.showModal();
  if (target.id === "answer") target.scrollIntoView({ block: "nearest" });
});

// What has just come into the page: where to type, and where a rename that is done began.
document.addEventListener("htmx:load", (event) => {
  const part = event.detail.elt;
  if (part === document.body) return;
  const field = part.matches("[autofocus]") ? part : part.querySelector("[autofocus]");
  field?.focus();
  if (field?.hasAttribute("data-select")) field.select();
  if (part.matches(".name:not(.editing), [data-renamed]")) part.querySelector(".pencil")?.focus();
  showOrigins(part);
});
dialog.addEventListener("close", () => {
  const isStale = dialogBody.querySelector("[data-reload]");
  dialogBody.replaceChildren();
  if (isStale) location.reload();
});
dialog.addEventListener("click", (event) => {
  // A click on the backdrop is one on the dialog itself; a secret must not go by a slip.
  if (event.target === dialog && !dialogBody.querySelector("[data-reload]")) dialog.close();
});

document.addEventListener("click", (event) => {
  const closing = event.target.closest("[data-close]");
  if (closing && dialog.open) {
    event.preventDefault();
    dialog.close();
  }
  const copying = event.target.closest("[data-copy]");
  if (copying) copy(copying);
  const preset = event.target.closest("[data-check]");
  if (preset) checkAll(preset);
  for (const menu of document.querySelectorAll("details.switcher[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = event.target.closest("details.switcher[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
  event.target.closest(".name.editing")?.querySelector("[data-escape]").click();
});

for (const what of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(what, () => {
    const box = document.createElement("div");
    box.className = "refused";
    box.textContent = "The server could not be reached. Nothing is known to have changed; load the page again.";
    notices.replaceChildren(box);
  });
}
document.addEventListener("htmx:afterOnLoad", (event) => {
  if (event.detail.successful && notices.textContent.includes("could not be reached")) {
    notices.replaceChildren();
  }
});

async function copy(button) {
  const source = document.querySelector(button.dataset.copy);
  getSelection().selectAllChildren(source);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.lastChild.textContent = "Copied";
  } catch {
    // Without https there is no clipboard: the text is selected, ready for the keyboard.
    button.lastChild.textContent = "Selected";
  }
}

function checkAll(button) {
  const wanted = button.dataset.check;
  for (const box of button.closest("fieldset").querySelectorAll("input[type=checkbox]")) {
    box.checked = wanted === "*" || (wanted !== "" && box.value.endsWith(wanted));
  }
}

// Links that the server made without knowing under which address it is reached.
function showOrigins(within) {
  for (const text of within.querySelectorAll?.("[data-origin]") ?? []) {
    if (text.textContent.startsWith("/")) text.textContent = location.origin + text.textContent;
  }
}

// Dropping a file, and how much of it has been sent.
const drop = document.getElementById("upload");
if (drop) {
  const input = drop.querySelector("input[type=file]");
  const progress = drop.querySelector("p.progress");
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => event.preventDefault());
  }
  drop.addEventListener("dragover", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    if (event.dataTransfer.files.length !== 1) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
  drop.addEventListener("htmx:beforeRequest", (event) => {
    if (!input.files.length) event.preventDefault();
    progress.hidden = !input.files.length;
    progress.lastElementChild.textContent = "Uploading";
  });
  drop.addEventListener("htmx:xhr:progress", (event) => {
    const { loaded, total } = event.detail;
    if (!total) return;
    progress.firstElementChild.value = (100 * loaded) / total;
    if (loaded === total) progress.lastElementChild.textContent = "Looking at it";
  });
  drop.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.xhr.getResponseHeader("HX-Redirect")) return;
    progress.hidden = true;
    // The same file, once it is mended, is a change again.
    input.value = "";
  });
}

// Dragging an audience onto a folder. Without a mouse, "Move" in its row does the same.
let dragged = null;
document.addEventListener("dragstart", (event) => {
  dragged = event.target.closest?.("tr[data-audience]") ?? null;
  if (!dragged) return;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", dragged.dataset.audience);
  dragged.classList.add("dragged");
});
document.addEventListener("dragend", () => {
  dragged?.classList.remove("dragged");
  dragged = null;
});
for (const folder of document.querySelectorAll("[data-drop]")) {
  folder.addEventListener("dragover", (event) => {
    if (!dragged) return;
    event.preventDefault();
    folder.classList.add("over");
  });
  folder.addEventListener("dragleave", () => folder.classList.remove("over"));
  folder.addEventListener("drop", (event) => {
    event.preventDefault();
    folder.classList.remove("over");
    if (!dragged) return;
    const here = location.pathname.replace(/\/$/, "");
    htmx.ajax("POST", `${here}/${dragged.dataset.audience}/move`, {
      source: document.body,
      target: notices,
      values: {
        folder: folder.dataset.drop,
        shown: new URLSearchParams(location.search).get("folder") ?? "",
      },
    });
  });
}
