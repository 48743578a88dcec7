// A stand-in for Shopify's App Bridge: the little of it that an embedded page can notice. Written for this sandbox.
(() => {
  "use strict";
  if (window.shopify) return;

  const here = new URL(location.href);
  const framed = window.parent !== window;
  const meta = document.querySelector('meta[name="shopify-api-key"]');
  const remember = (name) => {
    const value = here.searchParams.get(name);
    if (value) sessionStorage.setItem(`bridge:${name}`, value);
    return value || sessionStorage.getItem(`bridge:${name}`) || "";
  };
  const config = {
    apiKey: meta ? meta.content : document.currentScript?.dataset.apiKey || "",
    shop: remember("shop"),
    host: remember("host"),
    locale: remember("locale") || "en",
  };

  // Talking with the admin around us
  const waiting = new Map();
  let asked = 0;
  const tell = (kind, facts = {}) => framed && window.parent.postMessage({ bridge: kind, ...facts }, "*");
  const ask = (kind, facts = {}) =>
    new Promise((resolve, reject) => {
      if (!framed) return reject(new Error("not inside the admin"));
      const id = ++asked;
      waiting.set(id, resolve);
      tell(kind, { ...facts, id });
    });
  window.addEventListener("message", (event) => {
    if (event.source !== window.parent || !event.data?.bridge) return;
    const { bridge, id, value } = event.data;
    if (bridge === "answer" && waiting.has(id)) {
      waiting.get(id)(value);
      waiting.delete(id);
    } else if (bridge === "navigate") {
      follow(value);
    }
  });

  // Session tokens live for a minute; one is asked for again well before that.
  let known = null;
  const idToken = async (fresh = false) => {
    if (fresh || !known || Date.now() - known.at > 30000) known = { at: Date.now(), token: await ask("idToken") };
    return known.token;
  };

  // The patch page: come back to where we were with a fresh token.
  const reload = here.searchParams.get("shopify-reload");
  if (reload) {
    idToken(true).then((token) => {
      const target = new URL(reload, location.origin);
      if (target.origin !== location.origin) return;
      const given = { shop: config.shop, host: config.host, embedded: "1", locale: config.locale, id_token: token };
      for (const [name, value] of Object.entries(given)) if (value) target.searchParams.set(name, value);
      location.replace(target);
    });
  }

  const RETRY = "x-shopify-retry-invalid-session-request";
  const REAUTHORIZE = "x-shopify-api-request-failure-reauthorize-url";
  const ours = (url) => new URL(url, location.href).origin === location.origin;

  const plainFetch = window.fetch.bind(window);
  window.fetch = async (input, init) => {
    const request = new Request(input, init);
    if (!framed || !ours(request.url)) return plainFetch(request);
    const send = async (fresh) => {
      const copy = request.clone();
      if (!copy.headers.has("Authorization")) copy.headers.set("Authorization", `Bearer ${await idToken(fresh)}`);
      return plainFetch(copy);
    };
    let answer = await send(false);
    if (answer.status === 401 && answer.headers.get(RETRY)) answer = await send(true);
    const elsewhere = answer.headers.get(REAUTHORIZE);
    if (elsewhere) window.open(new URL(elsewhere, location.href), "_top");
    return answer;
  };

  const { open, send, setRequestHeader } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    this.bridgeSigns = framed && ours(url) && rest[0] !== false;
    return open.call(this, method, url, ...rest);
  };
  XMLHttpRequest.prototype.setRequestHeader = function (name, value) {
    if (name.toLowerCase() === "authorization") this.bridgeSigns = false;
    return setRequestHeader.call(this, name, value);
  };
  XMLHttpRequest.prototype.send = function (body) {
    if (!this.bridgeSigns) return send.call(this, body);
    idToken().then((token) => {
      if (this.readyState !== XMLHttpRequest.OPENED) return;
      setRequestHeader.call(this, "Authorization", `Bearer ${token}`);
      send.call(this, body);
    });
  };

  // Navigation: our own pages inside the frame (without a token, as live), Shopify's outside of it.
  const follow = (href, target = "") => {
    if (href.startsWith("shopify:")) return tell("admin", { path: href.replace(/^shopify:(\/\/)?(admin)?/, "") });
    if (target && target !== "_self" && target !== "auto") return window.open(href, target);
    location.assign(href);
  };
  window.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey) return;
    const link = event
      .composedPath()
      .find((e) => e instanceof Element && e.matches("a[href], s-link[href], s-button[href], s-clickable[href]"));
    const href = link?.getAttribute("href");
    if (!href || link.hasAttribute("disabled") || link.hasAttribute("download")) return;
    if (link.localName === "a" && !href.startsWith("shopify:")) return;
    event.preventDefault();
    follow(href, link.getAttribute("target") || "");
  });

  // The admin shows where we are, and our navigation as its own.
  const menu = () =>
    [...document.querySelectorAll("s-app-nav > s-link, ui-nav-menu > a")].map((link) => ({
      href: link.getAttribute("href"),
      label: link.textContent.trim(),
      home: link.getAttribute("rel") === "home",
    }));
  const path = () => {
    const url = new URL(location.href);
    for (const name of ["shop", "host", "embedded", "id_token", "locale", "session", "timestamp", "hmac"]) {
      url.searchParams.delete(name);
    }
    return url.pathname + url.search;
  };
  const report = () => tell("page", { path: path(), title: document.title, menu: menu() });
  document.addEventListener("DOMContentLoaded", () => {
    if (reload) return;
    report();
  });
  for (const name of ["pushState", "replaceState"]) {
    const change = history[name].bind(history);
    history[name] = (...given) => {
      change(...given);
      report();
    };
  }
  window.addEventListener("popstate", report);

  // Forms may come and go: what happens in them is heard where it bubbles to.
  const SAVED = "form[data-save-bar]";
  const bar = (shown) => tell("saveBar", { shown });
  const inForm = (event) => event.target.closest?.(SAVED);
  for (const changed of ["input", "change"]) document.addEventListener(changed, (event) => inForm(event) && bar(true));
  for (const over of ["submit", "reset"]) document.addEventListener(over, (event) => inForm(event) && bar(false));
  window.addEventListener("message", (event) => {
    if (event.source !== window.parent) return;
    const form = document.querySelector(SAVED);
    if (event.data?.bridge === "save") form?.requestSubmit();
    if (event.data?.bridge === "discard") form?.reset();
  });

  window.shopify = {
    config,
    idToken: () => idToken(),
    ready: Promise.resolve(),
    environment: { embedded: framed, mobile: false },
    toast: {
      show: (message, options = {}) => {
        tell("toast", { message: String(message), isError: Boolean(options.isError), duration: options.duration });
        return String(++asked);
      },
      hide: () => tell("toast", { message: "" }),
    },
    loading: (on = true) => tell("loading", { on: Boolean(on) }),
    saveBar: {
      show: async () => tell("saveBar", { shown: true }),
      hide: async () => tell("saveBar", { shown: false }),
      toggle: async () => tell("saveBar", { shown: null }),
      leaveConfirmation: async () => {},
    },
    scopes: {
      query: () => ask("scopes"),
      request: (scopes) => ask("requestScopes", { scopes }),
      revoke: (scopes) => ask("revokeScopes", { scopes }),
    },
    resourcePicker: () => ask("resourcePicker"),
    modal: {
      show: async (id) => document.getElementById(id)?.showOverlay?.(),
      hide: async (id) => document.getElementById(id)?.hideOverlay?.(),
    },
  };
})();
