// The little that htmx and App Bridge leave to us. No inline scripts: the page's policy forbids them.
"use strict";

// A page that nobody looks at asks for nothing.
document.addEventListener("htmx:config:request", (event) => {
  if (document.hidden && event.detail.ctx.sourceEvent.type === "every") event.preventDefault();
});

// The list is replaced under the keyboard's focus: give the focus back to the element of the same id.
let focused = null;
document.addEventListener("htmx:before:swap", () => {
  focused = document.activeElement?.id || null;
});
document.addEventListener("htmx:after:swap", () => {
  if (focused && document.activeElement === document.body) {
    document.getElementById(focused)?.focus({ preventScroll: true });
  }
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
