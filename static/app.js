// The little that htmx and App Bridge leave to us. No inline scripts: the page's policy forbids them.
"use strict";

// A page that nobody looks at asks for nothing.
document.addEventListener("htmx:config:request", (event) => {
  if (document.hidden && event.detail.ctx.sourceEvent.type === "every") event.preventDefault();
});

// What is looked at is replaced under the keyboard's focus and the mouse: give the focus back to the element of the
// same id, and open again what was open.
let focused = null;
let opened = [];
document.addEventListener("htmx:before:swap", () => {
  focused = document.activeElement?.id || null;
  opened = [...document.querySelectorAll("details[open]")].map((details) => details.id);
});
document.addEventListener("htmx:after:swap", () => {
  for (const id of opened.filter(Boolean)) document.getElementById(id)?.setAttribute("open", "");
  if (focused && document.activeElement === document.body) {
    document.getElementById(focused)?.focus({ preventScroll: true });
  }
  showChosen();
});

// A question that is open on the screen is not replaced under the answer.
let asking = 0;
document.addEventListener("show", (event) => { if (event.target.localName === "s-modal") asking += 1; }, true);
document.addEventListener("hide", (event) => { if (event.target.localName === "s-modal") asking = Math.max(0, asking - 1); }, true);
document.addEventListener("htmx:config:request", (event) => {
  if (asking && event.detail.ctx.sourceEvent.type === "every") event.preventDefault();
});

// Orders chosen in the list. What is chosen outlives the refresh of the list, and is forgotten with the page.
const chosen = new Set();
const choices = () => [...document.querySelectorAll("s-checkbox[name=order]")];
const showChosen = () => {
  const bar = document.getElementById("chosen");
  const here = choices();
  for (const value of chosen) if (!here.some((box) => box.getAttribute("value") === value)) chosen.delete(value);
  for (const box of here) if (chosen.has(box.getAttribute("value"))) box.checked = true;
  if (!bar) return;
  bar.hidden = !chosen.size;
  document.getElementById("chosen-count").textContent = chosen.size;
};
document.addEventListener("change", (event) => {
  const box = event.target.closest?.("s-checkbox[name=order]");
  if (!box) return;
  if (box.checked) chosen.add(box.getAttribute("value"));
  else chosen.delete(box.getAttribute("value"));
  showChosen();
}, true);
document.addEventListener("click", (event) => {
  if (!event.target.closest?.("#choose-all")) return;
  for (const box of choices()) chosen.add(box.getAttribute("value"));
  showChosen();
});

// Text to keep (.copy): into the clipboard, or shown where the browser does not allow that.
document.addEventListener("click", async (event) => {
  if (!event.target.closest?.(".copy")) return;
  const text = document.getElementById("copied");
  const done = await navigator.clipboard?.writeText(text.textContent).then(() => true, () => false);
  if (!done) document.getElementById("diagnostics").open = true;
  window.shopify?.toast?.show(done ? text.dataset.copied : text.dataset.failed);
});

// What a server answer says in passing (HX-Trigger: toast).
document.addEventListener("toast", (event) => window.shopify?.toast?.show(event.detail.words));

// A request that got no answer at all.
document.addEventListener("htmx:error", (event) => {
  const source = event.detail.ctx?.sourceEvent?.type;
  if (source && source !== "every") window.shopify?.toast?.show(document.body.dataset.offline, { isError: true });
});

// A file to keep (a[data-download]). App Bridge vouches for fetches, not for a browser's own download.
document.addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[data-download]");
  if (!link) return;
  event.preventDefault();
  event.stopPropagation();
  const answer = await fetch(link.href).catch(() => null);
  if (!answer?.ok) {
    window.shopify?.toast?.show(document.body.dataset.offline, { isError: true });
    return;
  }
  const file = document.createElement("a");
  file.href = URL.createObjectURL(await answer.blob());
  file.download = link.dataset.download;
  file.click();
  URL.revokeObjectURL(file.href);
}, true);

// A permission that a merchant may add ([data-scope]): Shopify asks, then the page is told to look what was granted.
document.addEventListener("click", async (event) => {
  const ask = event.target.closest?.("[data-scope]");
  if (!ask) return;
  await window.shopify?.scopes?.request([ask.dataset.scope]).catch(() => null);
  window.htmx.ajax("POST", ask.dataset.then, { target: "#page", select: "#page", swap: "outerHTML" });
});

// All boxes of a form at once ([data-tick-all]: the form's id).
document.addEventListener("click", (event) => {
  const all = event.target.closest?.("[data-tick-all]");
  if (!all) return;
  for (const box of document.querySelectorAll(`#${all.dataset.tickAll} s-checkbox`)) box.checked = true;
});
