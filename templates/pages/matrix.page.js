"use strict";
// Filters, the grid's keys and the panel. All text goes into the page as text, never as markup.
(() => {
  const byId = (id) => document.getElementById(id);
  const matrix = JSON.parse(byId("data").textContent);
  const stacks = new Map(matrix.stacks.map((stack) => [stack.name, stack]));
  const form = byId("filters");
  const summary = byId("summary");
  const panel = byId("panel");
  const plainSummary = summary.textContent;
  const cells = [...document.querySelectorAll("#grid a.build")].map(asButton);

  document.documentElement.classList.add("js");
  for (const part of [form, byId("keys"), ...document.querySelectorAll(".copy")]) part.hidden = false;
  cells.forEach((cell, n) => { cell.tabIndex = n ? -1 : 0; });

  /** A link to the build's text becomes a button that opens it. */
  function asButton(link) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = link.className;
    button.dataset.name = link.dataset.name;
    button.dataset.stack = link.dataset.stack;
    button.setAttribute("aria-haspopup", "dialog");
    button.append(...link.childNodes);
    link.replaceWith(button);
    return button;
  }

  // --- Filters ---

  /** What the filters ask for; a driver that is none is left out, and said. */
  function wish() {
    const { driver, gpu, python, platform } = form.elements;
    const text = driver.value.trim();
    const isDriver = gpuimgRules.parseDriver(text) !== null;
    const wrong = Boolean(text) && !isDriver;
    driver.setAttribute("aria-invalid", String(wrong));
    byId("driver-problem").textContent = wrong ? "A driver is written like 550 or 550.54.14, as nvidia-smi shows it." : "";
    const option = gpu.selectedOptions[0];
    return {
      driver: isDriver ? text : null,
      gpus: gpu.value ? [{ label: option.dataset.label ?? null, capability: gpu.value, platforms: option.dataset.platforms.split(" ") }] : [],
      python: python.value || null,
      platform: platform.value || null,
    };
  }

  /** What is asked for in words; empty where nothing is. */
  function inWords({ driver, gpus, python, platform }) {
    return [
      driver && `driver ${driver}`,
      ...gpus.map((gpu) => (gpu.label ? `${gpu.label} (${gpu.capability})` : `compute capability ${gpu.capability}`)),
      python && `Python ${python}`,
      platform,
    ].filter(Boolean).join(", ");
  }

  function filter() {
    const asked = wish();
    const any = inWords(asked) !== "";
    const found = { runs: [], unknown: [], cannot: [] };
    for (const cell of cells) {
      const { answer, short } = gpuimgRules.judge(stacks.get(cell.dataset.stack), asked, matrix);
      const more = short.length > 1 ? ` +${short.length - 1}` : "";
      cell.dataset.answer = any ? answer : "";
      cell.querySelector(".why").textContent = short.length ? `${answer === "unknown" ? "? " : ""}${short[0]}${more}` : "";
      if (!cell.classList.contains("compatible")) found[answer].push(cell);
    }
    summary.textContent = plainSummary;
    if (any) summarise(found);
  }

  function summarise({ runs, unknown, cannot }) {
    const all = runs.length + unknown.length + cannot.length;
    const unsure = unknown.length ? `, ${unknown.length} unknown` : "";
    summary.textContent = `${runs.length} of ${all} builds fit${unsure}.`;
    if (!runs.length) return;
    const newest = runs.filter((cell) => rowOf(cell) === rowOf(runs[0])).slice(-1)[0];
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.name = newest.dataset.name;
    button.textContent = newest.dataset.name;
    summary.append(" Newest: ", button);
  }

  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());

  // --- The grid's keys: one cell is in the tab order, arrows go from cell to cell ---

  const columnOf = (cell) => cell.parentElement.cellIndex;
  const rowOf = (cell) => cell.parentElement.parentElement;
  const inRow = (row) => [...row.querySelectorAll("button.build")];

  function beyond(cell, step) {
    let row = rowOf(cell);
    do { row = step > 0 ? row.nextElementSibling : row.previousElementSibling; } while (row && !inRow(row).length);
    const distance = (other) => Math.abs(columnOf(other) - columnOf(cell));
    return row && inRow(row).reduce((best, other) => (distance(other) < distance(best) ? other : best));
  }

  const KEYS = {
    ArrowRight: (cell) => cells[cells.indexOf(cell) + 1],
    ArrowLeft: (cell) => cells[cells.indexOf(cell) - 1],
    ArrowDown: (cell) => beyond(cell, 1),
    ArrowUp: (cell) => beyond(cell, -1),
    Home: (cell, all) => (all ? cells[0] : inRow(rowOf(cell))[0]),
    End: (cell, all) => (all ? cells : inRow(rowOf(cell))).slice(-1)[0],
  };

  byId("grid").addEventListener("keydown", (event) => {
    const cell = event.target.closest("button.build");
    const move = KEYS[event.key];
    if (!cell || !move || event.altKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    (move(cell, event.ctrlKey) ?? cell).focus();
  });
  byId("grid").addEventListener("focusin", (event) => {
    const current = event.target.closest("button.build");
    if (current) for (const cell of cells) cell.tabIndex = cell === current ? 0 : -1;
  });

  // --- The panel: the build's text is moved into it and back ---

  let opener = null;
  let after = null;  // what the text that is shown stood before

  function open(name, from) {
    const article = byId(`b-${name}`);
    if (!article || !article.matches("article")) return;
    putBack();
    if (from) opener = from;
    after = article.nextElementSibling;
    byId("shown").append(article);
    tell(article, name);
    panel.setAttribute("aria-labelledby", `t-${name}`);
    if (!panel.open) panel.showModal();
    panel.scrollTop = 0;
    showAddress(`#b-${name}`);
    article.querySelector("h3").focus();
  }

  /** The address of what is open, for a bookmark; some browsers refuse it to files. */
  function showAddress(fragment) {
    try {
      history.replaceState(null, "", fragment || location.pathname + location.search);
    } catch { /* the page works without */ }
  }

  function openAddress() {
    if (location.hash.startsWith("#b-")) open(decodeURIComponent(location.hash.slice(3)), null);
  }

  function putBack() {
    for (const article of [...byId("shown").children]) byId("builds").insertBefore(article, after);
  }

  /** The command for what the filters ask, and whether the build fits them. */
  function tell(article, name) {
    const asked = wish();
    const words = inWords(asked);
    const cell = cells.find((each) => each.dataset.name === name);
    const { answer, reasons, notes } = gpuimgRules.judge(stacks.get(cell.dataset.stack), asked, matrix);
    const options = [asked.python && `--python ${asked.python}`, asked.platform && `--platform ${asked.platform}`];
    const command = [`gpuimg build ${name}`, ...(answer === "cannot" ? [] : options.filter(Boolean))];
    article.querySelector(".command code").replaceChildren(...command.flatMap((part, n) => [n ? " " : "", unbroken(part)]));
    const box = article.querySelector(".verdict");
    box.hidden = !words;
    box.dataset.answer = answer;
    const title = document.createElement("strong");
    title.textContent = { runs: "Fits ", unknown: "Not known to fit ", cannot: "Does not fit " }[answer] + words;
    const list = document.createElement("ul");
    for (const text of [...reasons, ...notes]) {
      const item = document.createElement("li");
      item.textContent = text;
      list.append(item);
    }
    box.replaceChildren(title, list);
  }

  function unbroken(text) {
    const span = document.createElement("span");
    span.className = "nowrap";
    span.textContent = text;
    return span;
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-name]");
    if (target) {
      event.preventDefault();
      open(target.dataset.name, target.matches("button") ? target : null);
    } else if (event.target.matches(".copy")) {
      copy(event.target);
    } else if (event.target === panel || event.target.id === "close") {
      panel.close();
    }
  });
  panel.addEventListener("close", () => {
    putBack();
    showAddress("");
    if (opener && opener.isConnected) opener.focus();
    opener = null;
  });

  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    let done = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {  // no permission, or an old browser: select it, so that the keys can copy it
      getSelection().selectAllChildren(code);
      done = document.execCommand("copy");
    }
    button.textContent = done ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }

  filter();
  addEventListener("hashchange", openAddress);
  openAddress();
})();
