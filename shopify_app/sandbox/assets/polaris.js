// Stand-ins for the s-* elements of Shopify's admin: same names, attributes and slots, our own simple looks.
(() => {
  "use strict";
  if (customElements.get("s-page")) return;

  const sheet = (css) => {
    const made = new CSSStyleSheet();
    made.replaceSync(css);
    return made;
  };

  const GAPS = { none: 0, "small-500": 2, "small-400": 4, "small-300": 4, "small-200": 8, "small-100": 8, small: 8,
    base: 16, large: 20, "large-100": 24, "large-200": 28, "large-300": 32, "large-400": 36, "large-500": 40 };
  const gapRules = (tag, attribute, property) =>
    Object.entries(GAPS).map(([name, px]) => `${tag}[${attribute}="${name}"] { ${property}: ${px}px }`).join("\n");

  // Elements that only need looks
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet(`
    :root { --p-ink: #303030; --p-quiet: #616161; --p-line: #e3e3e3; --p-soft: #f7f7f7; --p-blue: #005bd3;
      --p-red: #b4232a; --p-green: #0c6a43; --p-amber: #8a5a00 }
    body { background: #f1f1f1 }
    s-app-nav, ui-nav-menu, ui-save-bar, s-option, s-tooltip, s-popover:not([data-open]), s-menu:not([data-open]),
    [hidden] { display: none !important }
    s-stack { display: flex; flex-direction: column; min-inline-size: 0 }
    s-stack[direction="inline"] { flex-flow: row wrap; align-items: center }
    s-stack[alignitems="center"] { align-items: center } s-stack[alignitems="start"] { align-items: flex-start }
    s-stack[justifycontent="space-between"] { justify-content: space-between }
    s-stack[justifycontent="end"] { justify-content: flex-end }
    s-grid { display: grid; gap: 16px } s-grid-item { display: block; min-inline-size: 0 }
    ${gapRules("s-stack", "gap", "gap")} ${gapRules("s-grid", "gap", "gap")} ${gapRules("s-box", "padding", "padding")}
    s-box, s-query-container, s-scroll-box, s-popover, s-menu { display: block }
    s-box[background="subdued"] { background: var(--p-soft) }
    s-box[border] { border: 1px solid var(--p-line) } s-box[borderradius] { border-radius: 8px }
    s-text { color: inherit } s-text[type="strong"] { font-weight: 600 }
    s-text[color="subdued"], s-paragraph[color="subdued"] { color: var(--p-quiet) }
    s-text[tone="critical"], s-paragraph[tone="critical"] { color: var(--p-red) }
    s-text[tone="success"], s-paragraph[tone="success"] { color: var(--p-green) }
    s-text[accessibilityvisibility="exclusive"] { position: absolute; inline-size: 1px; overflow: hidden; clip-path: inset(50%) }
    s-paragraph { display: block; margin: 0; max-inline-size: 80ch }
    s-heading { display: block; font-size: 14px; font-weight: 600; line-height: 20px }
    s-divider { display: block; border-block-start: 1px solid var(--p-line); margin-block: 4px }
    s-badge, s-chip { display: inline-block; border-radius: 8px; padding: 0 8px; font-size: 12px; line-height: 20px;
      white-space: nowrap; background: #ebebeb; color: #4a4a4a; font-weight: 500 }
    s-badge[tone="info"] { background: #dcecfd; color: #00407f } s-badge[tone="success"] { background: #d3f3de; color: #0a5132 }
    s-badge[tone="caution"], s-badge[tone="warning"] { background: #ffe8c7; color: #6b4300 }
    s-badge[tone="critical"] { background: #fddcd9; color: #8e1219 }
    s-table { display: table; inline-size: 100% }
    s-table-header-row, s-table-row { display: table-row }
    s-table-body { display: table-row-group }
    s-table-header, s-table-cell { display: table-cell; padding: 10px 12px; text-align: start; vertical-align: top }
    s-table-header { background: var(--p-soft); color: var(--p-quiet); font-size: 12px; font-weight: 550;
      padding-block: 8px; white-space: nowrap }
    s-table-row > s-table-cell { border-block-start: 1px solid var(--p-line) }
    s-table-row:hover > s-table-cell { background: #fafafa }
    @media (max-width: 599px) { /* a table becomes a list, as its headers' list slots say */
      s-table, s-table-body { display: block } s-table-header-row { display: none }
      s-table-row { border-block-start: 1px solid var(--p-line); display: flex; flex-wrap: wrap; gap: 6px 12px; padding: 12px }
      s-table-row > s-table-cell { border: 0; box-sizing: border-box; display: block; flex: 0 0 100%; min-inline-size: 0; padding: 0 }
      s-table-row > s-table-cell[data-list-slot="labeled"] { padding-inline-start: 108px; position: relative }
      s-table-cell[data-list-slot="labeled"]::before { color: var(--p-quiet); content: attr(data-label); inset-inline-start: 0;
        inline-size: 100px; position: absolute }
      s-table-row > s-table-cell:empty { display: none }
    }
    s-ordered-list, s-unordered-list { display: block; padding-inline-start: 20px }
    s-unordered-list > s-list-item { display: list-item; list-style: disc }
    s-ordered-list > s-list-item { display: list-item; list-style: decimal }
    s-image img, s-thumbnail img { max-inline-size: 100% }
    s-clickable { cursor: pointer; display: block } s-button-group { display: inline-flex; gap: 8px }
  `)];

  // What the header above a cell says, and where the cell goes when the table is a list.
  const labelled = (cell) => {
    const place = [...(cell.parentElement?.children ?? [])].indexOf(cell);
    const header = cell.closest("s-table")?.querySelectorAll("s-table-header")[place];
    cell.dataset.label = header?.textContent.trim() ?? "";
    cell.dataset.listSlot = header?.getAttribute("listslot") ?? "labeled";
  };

  const ROLES = { "s-table": "table", "s-table-body": "rowgroup", "s-table-header-row": "row", "s-table-row": "row",
    "s-table-header": "columnheader", "s-table-cell": "cell", "s-heading": "heading", "s-divider": "separator",
    "s-unordered-list": "list", "s-ordered-list": "list", "s-list-item": "listitem" };
  const PLAIN = ["s-app-nav", "s-app-window", "s-badge", "s-box", "s-button-group", "s-chip", "s-clickable-chip", "s-grid",
    "s-grid-item", "s-image", "s-menu", "s-option-group", "s-paragraph", "s-popover", "s-query-container", "s-scroll-box",
    "s-stack", "s-text", "s-thumbnail", "s-tooltip", ...Object.keys(ROLES)];
  for (const name of PLAIN) {
    customElements.define(name, class extends HTMLElement {
      connectedCallback() {
        if (ROLES[name] && !this.hasAttribute("role")) this.setAttribute("role", ROLES[name]);
        if (name === "s-heading" && !this.hasAttribute("aria-level")) this.setAttribute("aria-level", "3");
        if (name === "s-table-cell") queueMicrotask(() => labelled(this));
        if (name === "s-grid") this.style.gridTemplateColumns = this.getAttribute("gridtemplatecolumns") || "";
      }
    });
  }

  const BASE = sheet(`
    :host { box-sizing: border-box; font: inherit } :host([hidden]) { display: none !important }
    * { box-sizing: border-box; font: inherit } h1, h2, p { margin: 0 }
    :focus-visible { outline: 2px solid #005bd3; outline-offset: 1px }
  `);

  // Elements that draw something around their content; `draw` runs again when an attribute changes.
  const holds = (slot) => slot.assignedNodes().some((node) => node instanceof Element || node.textContent.trim());
  const element = (name, { attributes = [], css = "", draw, ready, filled, base = HTMLElement }) => {
    const own = sheet(css);
    customElements.define(name, class extends base {
      static observedAttributes = attributes;
      connectedCallback() {
        if (!this.shadowRoot) {
          this.attachShadow({ mode: "open", delegatesFocus: true }).adoptedStyleSheets = [BASE, own];
          this.render();
          this.shadowRoot.addEventListener("slotchange", (event) => filled?.(this.shadowRoot, event.target, holds(event.target)));
          ready?.(this);
        }
        super.connectedCallback?.();
      }
      attributeChangedCallback(attribute, before, after) {
        if (this.shadowRoot && before !== after) this.render();
      }
      render() { draw(this.shadowRoot, this); }
      said(attribute) { return this.getAttribute(attribute) ?? ""; }
    });
  };
  const html = (root, markup) => { root.innerHTML = markup; };
  const safe = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

  element("s-page", {
    attributes: ["heading", "inlinesize"],
    css: `:host { display: block } .page { margin: 0 auto; max-width: 998px; padding: 20px 20px 40px; }
      .page.large { max-width: 1400px } .page.small { max-width: 662px }
      header { align-items: center; display: flex; flex-wrap: wrap; gap: 8px; min-height: 32px; margin-bottom: 16px }
      h1 { flex: 1; font-size: 20px; font-weight: 650; line-height: 28px }
      .crumb { color: #8a8a8a; display: none } .crumb.full { display: inline } .crumb::after { content: "›"; margin-inline-start: 8px }
      .body { display: grid; gap: 16px; min-width: 0 } .cols { display: grid; gap: 16px }
      .cols.aside { grid-template-columns: minmax(0, 2fr) minmax(0, 1fr) } slot[name=aside] { display: grid; gap: 16px }
      .cols:not(.aside) slot[name=aside] { display: none }`,
    draw: (root, host) => html(root, `<div class="page ${safe(host.said("inlinesize"))}">
      <header><span class="crumb"><slot name="breadcrumb-actions"></slot></span><h1>${safe(host.said("heading"))}</h1>
      <slot name="secondary-actions"></slot><slot name="primary-action"></slot></header>
      <div class="cols"><div class="body"><slot></slot></div><slot name="aside"></slot></div></div>`),
    filled: (root, slot, full) => {
      if (slot.name === "aside") root.querySelector(".cols").classList.toggle("aside", full);
      if (slot.name === "breadcrumb-actions") root.querySelector(".crumb").classList.toggle("full", full);
    },
  });

  element("s-section", {
    attributes: ["heading", "subheading", "padding", "accessibilitylabel"],
    css: `:host { display: block } section { background: #fff; border-radius: 12px; box-shadow: 0 1px 2px #0000001f, 0 0 0 1px #0000000d;
      display: grid; gap: 12px; overflow: hidden; padding: 16px } section.none { gap: 0; overflow-x: auto; padding: 0 }
      section.none header { padding: 16px } header { align-items: center; display: flex; gap: 8px } header > div { flex: 1 }
      h2 { font-size: 14px; font-weight: 650; line-height: 20px } p { color: #616161 }`,
    draw: (root, host) => {
      const heading = host.said("heading");
      const title = heading ? `<header><div><h2>${safe(heading)}</h2><p>${safe(host.said("subheading"))}</p></div>
        <slot name="secondary-actions"></slot><slot name="primary-action"></slot></header>` : "";
      html(root, `<section class="${safe(host.said("padding"))}" aria-label="${safe(host.said("accessibilitylabel") || heading)}">
        ${title}<slot></slot></section>`);
    },
  });

  element("s-banner", {
    attributes: ["heading", "tone", "dismissible"],
    css: `:host { display: block } div.banner { background: #fff; border-radius: 12px; box-shadow: 0 1px 2px #0000001f, 0 0 0 1px #0000000d; overflow: hidden }
      header { align-items: center; background: #e8eef6; display: flex; font-weight: 600; gap: 8px; padding: 8px 16px }
      header b { flex: 1; font-weight: 600 } .success header { background: #d3f3de } .warning header { background: #ffe8c7 }
      .critical header { background: #fddcd9 } .content { display: grid; gap: 8px; padding: 12px 16px }
      .content:not(.filled) { display: none } button { background: none; border: 0; cursor: pointer; padding: 0 4px }`,
    draw: (root, host) => {
      const tone = host.said("tone") || "info";
      html(root, `<div class="banner ${safe(tone)}" role="${tone === "critical" ? "alert" : "status"}">
        <header><b>${safe(host.said("heading"))}</b>${host.hasAttribute("dismissible") ? '<button aria-label="Dismiss">×</button>' : ""}</header>
        <div class="content"><slot></slot><slot name="secondary-actions"></slot></div></div>`);
      root.querySelector("button")?.addEventListener("click", () => {
        host.hidden = true;
        host.dispatchEvent(new Event("dismiss"));
        host.dispatchEvent(new Event("afterhide"));
      });
    },
    filled: (root) => root.querySelector(".content").classList.toggle("filled", [...root.querySelectorAll("slot")].some(holds)),
  });

  element("s-empty-state", {
    attributes: ["heading"],
    css: `:host { display: block } div { display: grid; gap: 12px; justify-items: center; padding: 48px 20px; text-align: center } h2 { font-size: 14px; font-weight: 650 }`,
    draw: (root, host) => html(root, `<div><slot name="graphic"></slot><h2>${safe(host.said("heading"))}</h2>
      <slot name="subheading"></slot><slot></slot><slot name="secondary-actions"></slot><slot name="primary-action"></slot></div>`),
  });

  element("s-link", {
    attributes: ["href", "target", "tone"],
    css: `:host { display: inline } a { color: #005bd3; cursor: pointer } a:hover { text-decoration: none }
      :host([tone="critical"]) a { color: #b4232a } :host([tone="neutral"]) a { color: inherit }`,
    draw: (root, host) => {
      const target = host.said("target");
      html(root, `<a ${host.hasAttribute("href") ? `href="${safe(host.said("href"))}"` : 'tabindex="0" role="button"'}
        ${target && target !== "auto" ? `target="${safe(target)}"` : ""}><slot></slot></a>`);
    },
  });

  // Fields and buttons take part in forms as native ones do.
  class FormPart extends HTMLElement {
    static formAssociated = true;
    constructor() {
      super();
      this.internals = this.attachInternals();
    }
    get form() { return this.internals.form; }
    get name() { return this.getAttribute("name"); }
    formDisabledCallback(off) { this.shadowRoot?.querySelectorAll("input, select, textarea, button").forEach((e) => { e.disabled = off; }); }
  }

  const BUTTON = `button, a.button { align-items: center; background: #fff; border: 0; border-radius: 8px; box-shadow: 0 0 0 1px #d4d4d4, 0 1px 1px #0000001a;
      color: #303030; cursor: pointer; display: inline-flex; font-size: 12px; font-weight: 550; gap: 4px; line-height: 16px; min-height: 28px; padding: 6px 12px; text-decoration: none; white-space: nowrap }
    button:hover, a.button:hover { background: #f7f7f7 } .primary { background: #303030; box-shadow: 0 1px 1px #0003; color: #fff } .primary:hover { background: #1a1a1a }
    .tertiary { background: none; box-shadow: none } .tertiary:hover { background: #ebebeb } .critical { color: #b4232a } .primary.critical { background: #b4232a; color: #fff }
    button:disabled { cursor: default; opacity: .5 }`;
  const command = (host) => {
    const target = document.getElementById(host.said("commandfor"));
    const wish = host.said("command") || "--auto";
    if (wish === "--copy") navigator.clipboard?.writeText(target?.value ?? target?.textContent ?? "");
    else if (wish === "--hide") target?.hideOverlay?.();
    else if (wish === "--show") target?.showOverlay?.();
    else target?.toggleOverlay?.();
  };
  for (const name of ["s-button", "s-press-button"]) {
    element(name, {
      base: FormPart,
      attributes: ["variant", "tone", "disabled", "loading", "href", "target", "accessibilitylabel", "icon"],
      css: `:host { display: inline-block } :host([disabled]) { pointer-events: none } ${BUTTON}`,
      draw: (root, host) => {
        const look = `class="button ${safe(host.said("variant"))} ${safe(host.said("tone"))}"`;
        const label = host.said("accessibilitylabel") ? `aria-label="${safe(host.said("accessibilitylabel"))}"` : "";
        const busy = host.hasAttribute("loading") ? '<span aria-hidden="true">…</span>' : "";
        const target = host.said("target") ? `target="${safe(host.said("target"))}"` : "";
        const off = host.hasAttribute("disabled") || host.hasAttribute("loading") ? "disabled" : "";
        html(root, host.hasAttribute("href")
          ? `<a ${look} ${label} ${target} href="${safe(host.said("href"))}"><slot></slot></a>`
          : `<button type="button" ${look} ${label} ${off}><slot></slot>${busy}</button>`);
      },
      ready: (host) => host.addEventListener("click", (event) => {
        if (host.hasAttribute("disabled") || host.hasAttribute("loading")) return event.stopImmediatePropagation();
        if (host.hasAttribute("commandfor")) command(host);
        queueMicrotask(() => {
          if (event.defaultPrevented || !host.form) return;
          if (host.said("type") === "submit") submit(host);
          if (host.said("type") === "reset") host.form.reset();
        });
      }),
    });
  }
  // A custom element may not be a submitter, so a hidden native one speaks for it.
  const submit = (host) => {
    const speaker = Object.assign(document.createElement("button"), { type: "submit", hidden: true });
    for (const name of ["name", "value", "formaction"]) if (host.hasAttribute(name)) speaker.setAttribute(name, host.said(name));
    host.form.append(speaker);
    host.form.requestSubmit(speaker);
    speaker.remove();
  };

  const FIELD = `:host { display: block } .field { display: grid; gap: 4px } label, .label { font-size: 13px; line-height: 20px }
    .away { block-size: 1px; clip-path: inset(50%); inline-size: 1px; overflow: hidden; position: absolute }
    input:not([type=checkbox]):not([type=radio]), select, textarea { background: #fdfdfd; border: 1px solid #8a8a8a; border-radius: 8px; color: inherit; inline-size: 100%; line-height: 20px; min-height: 32px; padding: 5px 12px }
    input:hover, select:hover, textarea:hover { border-color: #616161 } .wrong input, .wrong select, .wrong textarea { border-color: #b4232a; background: #fff4f3 }
    .details { color: #616161; font-size: 12px } .error { color: #b4232a; font-size: 12px }`;
  const COPIED = ["placeholder", "autocomplete", "required", "disabled", "readonly", "minlength", "maxlength", "min", "max", "step", "pattern", "rows", "inputmode"];
  const around = (host, control) => {
    const hidden = host.said("labelaccessibilityvisibility") === "exclusive" ? "away" : "";
    const error = host.said("error");
    return `<div class="field ${error ? "wrong" : ""}"><label class="${hidden}" for="control">${safe(host.said("label"))}</label>${control}
      ${error ? `<div class="error" id="error">${safe(error)}</div>` : ""}${host.said("details") ? `<div class="details">${safe(host.said("details"))}</div>` : ""}</div>`;
  };
  const echo = (host, event) => {
    if (!event.composed) host.dispatchEvent(new Event(event.type, { bubbles: true }));
  };

  const INPUTS = { "s-text-field": "text", "s-email-field": "email", "s-password-field": "password", "s-url-field": "url",
    "s-search-field": "search", "s-number-field": "number", "s-money-field": "text", "s-date-field": "date", "s-text-area": "textarea", "s-color-field": "text" };
  class ValueField extends FormPart {
    get value() { return this.control?.value ?? this.typed ?? this.getAttribute("value") ?? ""; }
    set value(text) {
      this.typed = text;
      if (this.control) this.control.value = text;
      this.internals.setFormValue(text);
    }
    get control() { return this.shadowRoot?.getElementById("control"); }
    formResetCallback() { this.value = this.getAttribute("value") ?? ""; }
  }
  for (const [name, type] of Object.entries(INPUTS)) {
    element(name, {
      base: ValueField,
      attributes: ["label", "details", "error", "value", "disabled", "placeholder", "readonly", "required"],
      css: FIELD,
      draw: (root, host) => {
        const value = host.control ? host.control.value : host.said("value");
        const extra = COPIED.filter((a) => host.hasAttribute(a)).map((a) => `${a}="${safe(host.said(a))}"`).join(" ");
        const wrong = host.said("error") ? 'aria-invalid="true" aria-describedby="error"' : "";
        html(root, around(host, type === "textarea" ? `<textarea id="control" ${extra} ${wrong}></textarea>` : `<input id="control" type="${type}" ${extra} ${wrong}>`));
        host.value = value;
        host.control.addEventListener("input", (event) => { host.internals.setFormValue(host.control.value); echo(host, event); });
        host.control.addEventListener("change", (event) => echo(host, event));
        host.control.addEventListener("keydown", (event) => {
          if (event.key === "Enter" && type !== "textarea" && host.form) { event.preventDefault(); host.form.requestSubmit(); }
        });
      },
    });
  }

  element("s-select", {
    base: ValueField,
    attributes: ["label", "details", "error", "value", "disabled"],
    css: FIELD,
    draw: (root, host) => {
      const options = [...host.querySelectorAll("s-option")];
      const wanted = host.said("value") || options.find((o) => o.hasAttribute("selected"))?.getAttribute("value") || "";
      const listed = options.map((o) => `<option value="${safe(o.getAttribute("value") ?? o.textContent.trim())}" ${o.hasAttribute("disabled") ? "disabled" : ""}>${safe(o.textContent.trim())}</option>`);
      html(root, around(host, `<select id="control" ${host.hasAttribute("disabled") ? "disabled" : ""}>${listed.join("")}</select>`));
      if (wanted) host.control.value = wanted;
      host.internals.setFormValue(host.control.value);
      host.control.addEventListener("change", (event) => { host.internals.setFormValue(host.control.value); echo(host, event); });
    },
    ready: (host) => new MutationObserver(() => host.render()).observe(host, { childList: true, subtree: true, characterData: true }),
  });
  customElements.define("s-option", class extends HTMLElement {});

  class Ticked extends FormPart {
    get checked() { return this.shadowRoot?.getElementById("control")?.checked ?? this.hasAttribute("checked"); }
    set checked(on) {
      const control = this.shadowRoot?.getElementById("control");
      if (control) control.checked = on;
      this.count();
    }
    get value() { return this.getAttribute("value") ?? "on"; }
    count() { this.internals.setFormValue(this.checked ? this.value : null); }
    formResetCallback() { this.checked = this.hasAttribute("checked"); }
  }
  for (const name of ["s-checkbox", "s-switch"]) {
    element(name, {
      base: Ticked,
      attributes: ["label", "details", "error", "checked", "disabled", "value"],
      css: `${FIELD} .row { align-items: start; display: flex; gap: 8px } input { accent-color: #303030; block-size: 16px; inline-size: 16px; margin: 2px 0 0; flex: none }`,
      draw: (root, host) => {
        html(root, `<div class="row"><input id="control" type="checkbox" ${name === "s-switch" ? 'role="switch"' : ""} ${host.hasAttribute("checked") ? "checked" : ""} ${host.hasAttribute("disabled") ? "disabled" : ""}>
          <div><label class="${host.said("labelaccessibilityvisibility") === "exclusive" ? "away" : ""}" for="control">${safe(host.said("label"))}<slot></slot></label><div class="details">${safe(host.said("details"))}</div><div class="error">${safe(host.said("error"))}</div></div></div>`);
        host.count();
        root.getElementById("control").addEventListener("change", (event) => { host.count(); host.dispatchEvent(new Event("input", { bubbles: true })); echo(host, event); });
      },
    });
  }

  const choiceLabel = (choice) => [...choice.childNodes].filter((n) => !(n instanceof Element && n.slot)).map((n) => n.textContent).join("").trim();
  element("s-choice-list", {
    base: FormPart,
    attributes: ["label", "details", "error", "multiple"],
    css: `${FIELD} fieldset { border: 0; display: grid; gap: 8px; margin: 0; padding: 0 } legend { margin-bottom: 4px; padding: 0 } .choice { align-items: start; display: flex; gap: 8px }
      input { accent-color: #303030; margin: 3px 0 0; flex: none }`,
    draw: (root, host) => {
      const many = host.hasAttribute("multiple");
      const hidden = host.said("labelaccessibilityvisibility") === "exclusive" ? "away" : "";
      const choices = [...host.querySelectorAll(":scope > s-choice")];
      html(root, `<fieldset><legend class="${hidden}">${safe(host.said("label"))}</legend>${choices.map((choice, n) => `<div class="choice"><input id="c${n}" name="choice" type="${many ? "checkbox" : "radio"}"
        value="${safe(choice.getAttribute("value") ?? "")}" ${choice.hasAttribute("selected") ? "checked" : ""} ${choice.hasAttribute("disabled") ? "disabled" : ""}>
        <div><label for="c${n}">${safe(choiceLabel(choice))}</label><div class="details">${safe(choice.querySelector('[slot="details"]')?.textContent ?? "")}</div></div></div>`).join("")}</fieldset>
        <div class="details">${safe(host.said("details"))}</div><div class="error">${safe(host.said("error"))}</div>`);
      const count = () => {
        const data = new FormData();
        for (const value of host.values) data.append(host.name, value);
        host.internals.setFormValue(data);
      };
      if (!Object.getOwnPropertyDescriptor(host, "values")) {
        Object.defineProperty(host, "values", { get: () => [...root.querySelectorAll("input:checked")].map((input) => input.value) });
      }
      count();
      root.addEventListener("change", (event) => { count(); echo(host, event); });
    },
    ready: (host) => new MutationObserver(() => host.render()).observe(host, { childList: true, subtree: true, characterData: true }),
  });
  customElements.define("s-choice", class extends HTMLElement { connectedCallback() { this.style.display = "none"; } });

  element("s-modal", {
    attributes: ["heading", "size"],
    css: `dialog { border: 0; border-radius: 16px; box-shadow: 0 12px 40px #0006; color: inherit; inline-size: min(620px, 92vw); padding: 0 } dialog::backdrop { background: #0006 }
      header { align-items: center; background: #f3f3f3; display: flex; padding: 12px 16px } h2 { flex: 1; font-size: 14px; font-weight: 650 }
      header button { background: none; border: 0; cursor: pointer; font-size: 18px } .content { display: grid; gap: 12px; padding: 16px }
      footer { border-top: 1px solid #e3e3e3; display: flex; gap: 8px; justify-content: flex-end; padding: 12px 16px }`,
    draw: (root, host) => {
      if (root.firstChild) { root.querySelector("h2").textContent = host.said("heading"); return; }
      html(root, `<dialog aria-labelledby="title"><header><h2 id="title">${safe(host.said("heading"))}</h2><button aria-label="Close">×</button></header>
        <div class="content"><slot></slot></div><footer><slot name="secondary-actions"></slot><slot name="primary-action"></slot></footer></dialog>`);
      const dialog = root.querySelector("dialog");
      root.querySelector("header button").addEventListener("click", () => dialog.close());
      dialog.addEventListener("close", () => host.dispatchEvent(new Event("hide")));
      host.showOverlay = () => { if (!dialog.open) dialog.showModal(); host.dispatchEvent(new Event("show")); };
      host.hideOverlay = () => dialog.close();
      host.toggleOverlay = () => (dialog.open ? host.hideOverlay() : host.showOverlay());
    },
  });

  element("s-spinner", {
    attributes: ["accessibilitylabel", "size"],
    css: `:host { display: inline-block } i { animation: turn .8s linear infinite; block-size: 20px; border: 2px solid #d4d4d4; border-block-start-color: #303030; border-radius: 50%; display: block; inline-size: 20px } @keyframes turn { to { transform: rotate(1turn) } }`,
    draw: (root, host) => html(root, `<i role="status" aria-label="${safe(host.said("accessibilitylabel") || "Loading")}"></i>`),
  });
  element("s-progress", {
    attributes: ["value", "max"],
    css: `:host { display: block } progress { inline-size: 100% }`,
    draw: (root, host) => html(root, `<progress value="${safe(host.said("value") || 0)}" max="${safe(host.said("max") || 1)}"></progress>`),
  });
  const SIGNS = { check: "✓", "check-circle": "✓", "alert-triangle": "⚠", "alert-circle": "!", info: "i", x: "×", search: "⌕", refresh: "↻", clock: "◷", order: "▤", delivery: "⛟", "external": "↗", plus: "+" };
  element("s-icon", {
    attributes: ["type"],
    css: `:host { display: inline-block; inline-size: 16px; text-align: center }`,
    draw: (root, host) => html(root, `<span aria-hidden="true">${SIGNS[host.said("type")] ?? "•"}</span>`),
  });
  element("s-number", { attributes: [], css: `:host { font-variant-numeric: tabular-nums }`, draw: (root) => html(root, "<slot></slot>") });
  element("s-avatar", {
    attributes: ["initials", "src", "alt"],
    css: `:host { background: #e3e3e3; block-size: 28px; border-radius: 8px; display: inline-grid; inline-size: 28px; place-items: center }`,
    draw: (root, host) => html(root, safe(host.said("initials"))),
  });
  element("s-clickable", {
    attributes: ["href"],
    css: `:host { display: block } div { cursor: pointer }`,
    draw: (root) => html(root, '<div role="link" tabindex="0"><slot></slot></div>'),
  });
})();
