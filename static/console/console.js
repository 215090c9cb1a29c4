// The console's behaviour, hung on data-* hooks. Nothing that changes data depends on it.
"use strict";

(() => {
  const THEMES = ["auto", "light", "dark"];
  const NAMES = { auto: "automatic", light: "light", dark: "dark" };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  const chosen = () => {
    try {
      const kept = localStorage.getItem("backdesk-theme");
      return THEMES.includes(kept) ? kept : "auto";
    } catch {
      return "auto";
    }
  };

  const paint = () => {
    const theme = chosen() === "auto" ? (dark.matches ? "dark" : "light") : chosen();
    document.documentElement.setAttribute("data-bs-theme", theme);
    for (const name of document.querySelectorAll("[data-theme-name]")) name.textContent = NAMES[chosen()];
  };

  // Before the first paint, so that a dark screen does not flash white.
  paint();
  dark.addEventListener("change", paint);

  const nextTheme = () => {
    const next = THEMES[(THEMES.indexOf(chosen()) + 1) % THEMES.length];
    try {
      localStorage.setItem("backdesk-theme", next);
    } catch {
      return;
    }
    paint();
  };

  // The menu is longer than the window: where one is in it should be seen.
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelector(".sidebar [aria-current]")?.scrollIntoView({ block: "nearest" });
  });

  const open = (dialog) => {
    if (dialog && !dialog.open) dialog.showModal();
  };

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-theme-toggle], [data-dialog]");
    if (target?.hasAttribute("data-theme-toggle")) nextTheme();
    else if (target) open(document.getElementById(target.dataset.dialog));
    for (const menu of document.querySelectorAll("details.person[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
    if (question && !window.confirm(question)) {
      event.preventDefault();
      return;
    }
    if (!form.hasAttribute("data-submit-once")) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    for (const button of form.querySelectorAll("[type=submit]")) button.setAttribute("aria-disabled", "true");
  });

  // A page that comes back from the browser's memory may be sent again.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.querySelectorAll("[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
    }
  });

  // Rows of a list that are chosen: all on the page at once, and how many they are.
  const boxes = (form) => [...form.querySelectorAll("input[name=pick]")];

  const countPicked = (form) => {
    const all = boxes(form);
    const chosen = all.filter((box) => box.checked).length;
    form.querySelector("[data-picked]").textContent = chosen ? `${chosen} chosen` : "";
    form.querySelector("[data-pick-all]").textContent = chosen === all.length ? "Choose none" : "Choose all on this page";
  };

  document.addEventListener("click", (event) => {
    const form = event.target.closest("[data-pick-all]")?.form;
    if (!form) return;
    const rest = boxes(form).filter((box) => !box.checked);
    for (const box of boxes(form)) box.checked = rest.length > 0;
    countPicked(form);
  });

  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-picking]");
    if (form) countPicked(form);
  });

  // A part of the page that follows what happens on the server, until it says no more that it does.
  const follow = async () => {
    const part = document.querySelector("[data-follow]");
    if (!part) return;
    try {
      const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-follow]");
      if (answer.ok && !next) {
        window.location.reload();
        return;
      }
      if (next && !part.contains(document.activeElement)) part.replaceWith(document.importNode(next, true));
    } catch {
      // The next time may go better.
    }
    window.setTimeout(follow, 1500);
  };

  let afterG = 0;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details.person[open]")) menu.open = false;
      return;
    }
    if (event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select, dialog")) return;
    if (event.key === "/") {
      const box = document.querySelector("main [data-search]") ?? document.querySelector("[data-search]");
      if (!box) return;
      event.preventDefault();
      box.focus();
      box.select();
    } else if (event.key === "?") {
      open(document.getElementById("keys"));
    } else if (event.key === "g") {
      afterG = Date.now();
    } else if (event.key === "h" && Date.now() - afterG < 1500) {
      window.location.assign("/admin/");
    }
  });

  document.addEventListener("DOMContentLoaded", () => {
    for (const tool of document.querySelectorAll("[data-theme-toggle][hidden], [data-dialog][hidden], [data-pick-all][hidden]")) tool.hidden = false;
    for (const form of document.querySelectorAll("[data-picking]")) countPicked(form);
    paint();
    if (document.querySelector("[data-follow]")) window.setTimeout(follow, 1500);
  });
})();
