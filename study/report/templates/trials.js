// Reads the page's data, fills the table of all trials, filters and sorts it, and offers it as files.
const table = (async () => {
  const readingElement = document.getElementById("trial-reading");
  if (!readingElement || !("DecompressionStream" in window)) return;
  const $ = (id) => document.getElementById(id);
  const PAGE = 50;

  // Numbers that JSON cannot carry, such as NaN or a 63-bit seed, are shown as texts.
  const plain = (value) => value?.$number ?? value;
  const number = (value) => ({ inf: Infinity, "-inf": -Infinity })[plain(value)] ?? plain(value) ?? null;
  const plainly = (values) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, plain(value)]));
  // A choice may be None, which is another thing than to have no value.
  const NONE = { toString: () => "None" };
  const chosen = (value) => (value === null ? NONE : value);

  const [study] = (await unpack("report-data").json()).studies;
  // Which columns there are, and which of single trials, which parameter names families, whether the (first) objective is to
  // be high, what the values of all objectives are called, whether attributes are this program's, and how
  // many digits some values are told with.
  const { columns, hidden, family, maximise, objectives, command, ours, digits } = JSON.parse(readingElement.textContent);
  for (const column of [...columns, ...hidden]) column.choices = column.choices.map((value) => (value?.$none ? NONE : plain(value)));
  const filtered = columns.filter((column) => !column.optional);
  // Whole seconds and fractions apart: browsers cut times to milliseconds.
  const seconds = ({ started, completed }) => {
    if (!started || !completed) return null;
    const whole = (text) => Date.parse(`${text.slice(0, 19).replace(" ", "T")}Z`) / 1000;
    const fraction = (text) => Number(`0${/^\.\d+/.exec(text.slice(19)) ?? ""}`);
    return whole(completed) - whole(started) + (fraction(completed) - fraction(started));
  };
  const trials = study.trials.map((trial) => {
    const complete = trial.state === "COMPLETE";
    const own = ours ? trial.user_attrs : {};
    const tests = Object.entries((ours && study.user_attrs.test_results?.[trial.number]) || {});
    const tested = Object.fromEntries(tests.map(([name, value]) => [`test_${name}`, value]));
    const params = plainly(trial.params);
    for (const { source, key, choices } of [...columns, ...hidden])
      if (source === "params" && key in params && choices.includes(NONE)) params[key] = chosen(params[key]);
    const user_attrs = plainly({ ...trial.user_attrs, ...tested });
    const infeasible = Boolean(own.infeasible) || Object.values(trial.constraints ?? {}).some((lack) => !(number(lack) <= 0));
    return {
      ...trial,
      params,
      user_attrs,
      ...Object.fromEntries(objectives.map((name, i) => [name, number(trial.values[i])])),
      complete,
      infeasible: infeasible || null,
      candidate: complete && !infeasible,
      family: String(params[family] ?? "all"),
      epochs_run: own.epochs_run ?? (trial.steps.length ? trial.steps.at(-1) + (trial.steps[0] === 0) : 0),
      last_step: trial.steps.at(-1) ?? null,
      training_seconds: own.training_seconds ?? seconds(trial),
    };
  });
  const valueOf = (trial, column) =>
    (column.source === "trial" ? trial[column.key] : trial[column.source][column.key]) ?? null;

  // The same texts as in the page's other tables.
  const missing = "–";
  const formatted = (value, digits, chosen) => {
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    const rounded = Number(`${mantissa}e${exponent}`);
    const size = Math.abs(rounded);
    const [least, beyond] = chosen ? [1e-2, 1e4] : [1e-4, 10 ** digits];
    const plain = size === 0 || (size >= least && size < beyond);
    if (chosen) return plain ? String(rounded) : `${Number(mantissa)}e${Number(exponent)}`;
    return plain ? rounded.toPrecision(digits) : `${mantissa}e${Number(exponent)}`;
  };
  const formats = {
    number: String,
    count: (value) => value.toLocaleString("en-US"),
    measured: (value, digits = 4) => formatted(value, digits, false),
    share: (value) => `${(100 * value).toFixed(1)}\u00a0%`,
    duration: (value) => {
      if (value < 59.95) return `${value.toFixed(1)} s`;
      const minutes = Math.floor(Math.round(value) / 60);
      if (minutes < 60) return `${minutes} min ${Math.round(value) % 60} s`;
      return `${Math.floor(minutes / 60).toLocaleString("en-US")} h ${minutes % 60} min`;
    },
    value: (value) => {
      if (typeof value === "boolean") return value ? "on" : "off";
      return typeof value !== "number" || Number.isInteger(value) ? String(value) : formatted(value, 3, true);
    },
    text: (value) => (value === "FAIL" ? "failed" : String(value).toLowerCase()),
  };
  const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const write = (value, column) => {
    if (column.texts.length) return column.texts[column.choices.indexOf(value)];
    if (column.optional) return cut(typeof value === "boolean" ? String(value) : value === null ? missing : String(value), 40);
    if (value === null) return missing;
    if (typeof value === "string" && column.format !== "text") return value;
    if (Math.abs(value) === Infinity) return value > 0 ? "infinity" : "minus infinity";
    return formats[column.format](value, digits[column.key]);
  };

  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  // Filters: by column, the range or the set of values that passes.
  const filters = new Map();
  const inputs = new Map();
  const BOX = { label: "in a box that was drawn" };
  const passes = (trial) =>
    [...filters].every(([column, filter]) => {
      if (filter.numbers) return filter.numbers.has(trial.number);
      const value = valueOf(trial, column);
      if (filter.chosen) return filter.chosen.has(value);
      return typeof value === "number" && value >= filter.low && value <= filter.high;
    });
  const describe = ([column, filter]) => {
    if (filter.numbers) return column.label;
    if (filter.chosen) {
      const names = [...filter.chosen].map((value) => write(value, column));
      return `${column.label} ${names.join(" or ") || "none"}`;
    }
    const [low, high] = [filter.low, filter.high].map((end) => write(end, column));
    if (filter.low === -Infinity) return `${column.label} up to ${high}`;
    if (filter.high === Infinity) return `${column.label} from ${low}`;
    return `${column.label} ${low} to ${high}`;
  };

  const readRange = (column) => {
    const [low, high] = inputs.get(column).map((input) => input.value.trim());
    if (low === "" && high === "") filters.delete(column);
    else {
      const ends = [low === "" ? -Infinity : Number(low), high === "" ? Infinity : Number(high)];
      filters.set(column, { low: Math.min(...ends), high: Math.max(...ends) });
    }
  };
  const readChoices = (column) => {
    const boxes = inputs.get(column);
    const chosen = column.choices.filter((_, i) => boxes[i].checked);
    if (chosen.length === column.choices.length) filters.delete(column);
    else filters.set(column, { chosen: new Set(chosen) });
  };
  const field = (column) => {
    const box = element("fieldset", {}, element("legend", { textContent: column.label }));
    const read = column.choices.length ? readChoices : readRange;
    const change = () => {
      read(column);
      refresh();
    };
    if (column.choices.length) {
      inputs.set(column, column.choices.map((value) => {
        const input = element("input", { type: "checkbox", checked: true, onchange: change });
        box.append(element("label", {}, input, ` ${write(value, column)}`));
        return input;
      }));
    } else {
      inputs.set(column, ["from", "to"].map((end) => {
        const input = element("input", { type: "number", step: "any", onchange: change });
        input.setAttribute("aria-label", `${column.label}, ${end}`);
        box.append(element("label", {}, `${end} `, input));
        return input;
      }));
    }
    return box;
  };
  const clear = () => {
    for (const [column, made] of inputs) {
      for (const input of made) {
        if (column.choices.length) input.checked = true;
        else input.value = "";
      }
    }
    filters.clear();
    refresh();
  };

  // Sorting, whatever the direction: missing values last, and by an objective, before them, what breaks the constraint.
  let order = { column: columns[0], ascending: true };
  const compare = (a, b) => {
    const [x, y] = [a, b].map((trial) => valueOf(trial, order.column));
    if (x === null || y === null) return (x === null) - (y === null) || a.number - b.number;
    const sign = order.ascending ? 1 : -1;
    const judged = objectives.includes(order.column.key) && a.infeasible !== b.infeasible;
    if (judged) return a.infeasible ? 1 : -1;
    const numbers = typeof x === "number" && typeof y === "number";
    const before = numbers ? x - y : String(x).localeCompare(String(y), "en");
    return sign * before || a.number - b.number;
  };

  let left = trials;
  let first = 0;
  const numeric = (column) => !["text", "value"].includes(column.format);
  const fill = (n = PAGE) => {
    const shown = left.slice(first, first + n);
    $("trials-rows").replaceChildren(...shown.map((trial) => element("tr", { onclick: () => open(trial.number) }, ...columns.map((column, i) => {
      const value = valueOf(trial, column);
      const cell = element(i ? "td" : "th", { textContent: write(value, column) });
      if (!i) cell.scope = "row";
      if (column.optional) cell.className = "optional";
      if (numeric(column)) cell.className = "number";
      if (typeof value === "number") cell.title = String(value);
      if (!i) cell.replaceChildren(opener(trial));
      return cell;
    }))));
    $("trials-shown").textContent = left.length
      ? `Trials ${(first + 1).toLocaleString("en-US")} to ${(first + shown.length).toLocaleString("en-US")} of ${left.length.toLocaleString("en-US")}.`
      : "No trial passes the filters.";
    $("trials-previous").disabled = first === 0;
    $("trials-next").disabled = first + PAGE >= left.length;
  };
  // On paper there are no pages to turn.
  addEventListener("beforeprint", () => {
    first = 0;
    fill(left.length);
  });
  addEventListener("afterprint", () => fill());
  const turn = (pages) => {
    first += pages * PAGE;
    fill();
  };
  const sort = () => {
    left = [...left].sort(compare);
    first = 0;
    for (const [i, cell] of [...$("trials-head").children].entries()) {
      const current = columns[i] === order.column;
      cell.setAttribute("aria-sort", !current ? "none" : order.ascending ? "ascending" : "descending");
    }
    fill();
  };
  const refresh = () => {
    left = trials.filter(passes);
    const detail = {
      all: filters.size === 0,
      maximise,
      trials: left,
      numbers: new Set(left.map((trial) => trial.number)),
    };
    sort();
    const bar = $("filter-bar");
    bar.hidden = detail.all;
    bar.firstElementChild.textContent = detail.all ? "" :
      `${left.length.toLocaleString("en-US")} of ${trials.length.toLocaleString("en-US")} trials: ${[...filters].map(describe).join("; ")}.`;
    document.documentElement.classList.toggle("filtered", !detail.all);
    for (const ending of ["csv", "json"]) {
      $(`trials-${ending}`).textContent =
        `Download ${ending.toUpperCase()}${detail.all ? "" : ` of ${left.length.toLocaleString("en-US")}`}`;
    }
    for (const mark of document.querySelectorAll("[data-mark]")) {
      mark.classList.toggle("out", !detail.numbers.has(Number(mark.dataset.mark)));
    }
    remember();
    document.dispatchEvent(new CustomEvent("trials-filtered", { detail }));
  };

  // Filters stand in the address, behind the section where the reader is.
  const written = () => {
    const query = new URLSearchParams();
    for (const [column, filter] of filters) {
      if (filter.chosen) {
        column.choices.forEach((value, i) => {
          if (filter.chosen.has(value)) query.append(column.key, `=${i}`);
        });
        if (!filter.chosen.size) query.append(column.key, "=");
      } else if (filter.numbers) query.append("box", [...filter.numbers].join(" "));
      else query.append(column.key, `${filter.low}..${filter.high}`);
    }
    return String(query);
  };
  const remember = () => {
    const [name] = location.hash.slice(1).split("?");
    const query = written();
    const hash = query ? `#${name}?${query}` : `#${name}`;
    if (hash !== (location.hash || "#")) history.replaceState(null, "", hash);
  };
  const recall = () => {
    const query = new URLSearchParams(location.hash.split("?")[1] ?? "");
    for (const key of new Set(query.keys())) {
      const values = query.getAll(key);
      const column = filtered.find((candidate) => candidate.key === key);
      if (key === "box") filters.set(BOX, { numbers: new Set(values[0].split(" ").map(Number)) });
      else if (column?.choices.length) {
        const kept = new Set(values.map((value) => value.slice(1)));
        inputs.get(column).forEach((input, i) => { input.checked = kept.has(String(i)); });
        readChoices(column);
      } else if (column) {
        const ends = values[0].split("..");
        inputs.get(column).forEach((input, i) => {
          input.value = Number.isFinite(Number(ends[i])) ? ends[i] : "";
        });
        readRange(column);
      }
    }
  };

  // One trial, or two side by side: pictures, curve, settings, command.
  const opener = (trial) => {
    const button = element("button", { type: "button", textContent: String(trial.number) });
    button.setAttribute("aria-label", `Open trial ${trial.number}`);
    return button;  // its row opens the trial
  };
  const drawer = $("drawer");
  let pinned = null;
  let opened = null;
  const svg = (tag, properties) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(properties)) made.setAttribute(name, value);
    return made;
  };
  const curve = (trial, other) => {
    const read = (shown) => (shown?.reports ?? []).map(plain).map(Number);
    const values = read(trial);
    if (values.filter(Number.isFinite).length < 2) return "";
    // Two beside each other have one scale.
    const both = [...values, ...read(other)].filter(Number.isFinite);
    const log = both.every((value) => value > 0);
    const ys = values.map((value) => (log ? Math.log(value) : value));
    const finite = both.map((value) => (log ? Math.log(value) : value));
    const [low, high] = [Math.min(...finite), Math.max(...finite)];
    const points = ys.flatMap((y, i) => Number.isFinite(y)
      ? [`${(200 * i) / (ys.length - 1)},${4 + (52 * (high - y)) / (high - low || 1)}`] : []);
    const drawn = svg("svg", { viewBox: "0 0 200 60", class: "curve", role: "img" });
    const [first, last] = [values[0], values.at(-1)].map((value) => formats.measured(value, digits.value));
    drawn.setAttribute("aria-label", `Learning curve of trial ${trial.number}, from ${first} to ${last}`);
    drawn.append(svg("polyline", { points: points.join(" ") }));
    return element("figure", {}, drawn, element("figcaption", { textContent: `${first} → ${last}, ${values.length} reports` }));
  };
  const card = (trial, other) => {
    const title = element("h2", { textContent: `Trial ${trial.number}` });
    const faces = [...document.querySelectorAll(`.faces tr[data-trial="${trial.number}"] img`)];
    const pictures = element("p", { className: "row" }, ...faces.map((image) => image.cloneNode()));
    const facts = element("dl", { className: "facts" });
    const fact = (label, told, differs) => facts.append(element("div", { className: differs ? "differs" : "" },
      element("dt", { textContent: label }), element("dd", { textContent: told })));
    for (const column of [...filtered.slice(1), ...hidden]) {
      const value = valueOf(trial, column);
      if (value === null) continue;
      fact(column.label, write(value, column), other && valueOf(other, column) !== value);
    }
    // What another program stores.
    const stored = (shown, name) => {
      const value = plain(shown.user_attrs[name]);
      return cut(typeof value === "string" ? value : JSON.stringify(value) ?? "", 200);
    };
    for (const [name, lack] of Object.entries(trial.constraints ?? {})) fact(`constraint ${name}`, number(lack));
    for (const name of ours ? [] : Object.keys(trial.user_attrs)) {
      fact(name, stored(trial, name), other && stored(other, name) !== stored(trial, name));
    }
    const code = element("code", { textContent: command.replace("NUMBER", trial.number) });
    const line = command ? element("div", { className: "command" }, code) : "";
    const keep = element("button", {
      type: "button",
      textContent: pinned === trial.number ? "Let go" : "Keep beside the next",
      onclick: () => {
        pinned = pinned === trial.number ? null : trial.number;
        open(trial.number);
      },
    });
    return element("section", {}, title, ...(faces.length ? [pictures] : []), curve(trial, other), facts, line, keep);
  };
  let from = null;  // where the keyboard was before the drawer opened
  const shut = () => {
    drawer.hidden = true;
    from?.focus({ preventScroll: true });
  };
  const open = (number) => {
    if (!drawer.contains(document.activeElement)) from = document.activeElement;
    const trial = trials.find((candidate) => candidate.number === number);
    if (!trial) return;
    opened = number;
    const beside = pinned === null || pinned === number
      ? null : trials.find((candidate) => candidate.number === pinned);
    const close = element("button", {
      type: "button", textContent: "Close", onclick: shut,
    });
    drawer.replaceChildren(close, ...(beside ? [card(beside, trial)] : []), card(trial, beside));
    drawer.hidden = false;
    close.focus({ preventScroll: true });
  };
  document.addEventListener("trial-opened", ({ detail }) => open(detail));
  addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && !drawer.hidden) shut();
  });
  for (const mark of document.querySelectorAll("[data-mark]")) {
    mark.addEventListener("click", () => open(Number(mark.dataset.mark)));
  }

  // Files.
  const save = (content, type, ending) => {
    const url = URL.createObjectURL(new Blob([content], { type }));
    const name = study.name.replace(/[^\w.-]+/g, "_");
    element("a", { href: url, download: `${name}.${ending}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };
  const csv = () => {
    const keys = (pick) => [...new Set(trials.flatMap((trial) => Object.keys(pick(trial))))];
    const params = keys((trial) => trial.params);
    const scalar = (name) => trials.every(({ user_attrs: a }) => a[name] === null || typeof a[name] !== "object");
    const attributes = keys((trial) => trial.user_attrs).filter(scalar);
    const taken = new Set(["number", "state", ...objectives, ...params, "started", "completed", "duration_s"]);
    const text = (value) => {
      if (value === null || value === undefined || value === "nan") return "";
      if (value === NONE) return "null";
      if (Math.abs(value) === Infinity) return value > 0 ? "inf" : "-inf";
      if (typeof value === "boolean") return value ? "True" : "False";
      const written = String(value);
      return /[",\r\n]/.test(written) ? `"${written.replaceAll('"', '""')}"` : written;
    };
    const head = [
      "number", "state", ...objectives, ...params,
      ...attributes.map((name) => (taken.has(name) ? `attr_${name}` : name)),
      "started", "completed", "duration_s",
    ];
    const rows = left.map((trial) => [
      trial.number, trial.state, ...objectives.map((name) => trial[name]),
      ...params.map((name) => trial.params[name]),
      ...attributes.map((name) => trial.user_attrs[name]),
      trial.started, trial.completed, seconds(trial),
    ]);
    return [head, ...rows].map((row) => row.map(text).join(",")).join("\n") + "\n";
  };

  $("trials-head").append(...columns.map((column) => {
    const button = element("button", { type: "button", textContent: column.label });
    button.onclick = () => {
      order = { column, ascending: order.column === column ? !order.ascending : true };
      sort();
    };
    const cell = element("th", { scope: "col" }, button);
    if (numeric(column)) cell.className = "number";
    if (column.optional) cell.className = "optional";
    return cell;
  }));
  const attributes = $("trials-attributes");
  if (attributes) attributes.onchange = () => $("trials-head").closest("table").classList.toggle("whole", attributes.checked);
  $("trials-filters").append(...filtered.map(field));
  $("trials-filters").onsubmit = (event) => event.preventDefault();
  $("trials-previous").onclick = () => turn(-1);
  $("trials-next").onclick = () => turn(1);
  $("trials-csv").onclick = () => save(csv(), "text/csv", "csv");
  $("trials-json").onclick = () => {
    const numbers = new Set(left.map((trial) => trial.number));
    const shown = { ...study, trials: study.trials.filter((trial) => numbers.has(trial.number)) };
    save(JSON.stringify(shown, null, 1), "application/json", "json");
  };
  $("filter-bar").querySelector("button").onclick = clear;
  document.addEventListener("trials-brushed", ({ detail: { ranges, chosen, numbers } }) => {
    for (const [key, values] of Object.entries(chosen)) {
      const column = filtered.find((candidate) => candidate.key === key && candidate.choices.length);
      if (!column) continue;
      inputs.get(column).forEach((input, i) => { input.checked = values.map(chosen).includes(column.choices[i]); });
      readChoices(column);
    }
    if (numbers) filters.set(BOX, { numbers });
    for (const [key, [low, high]] of Object.entries(ranges)) {
      const column = filtered.find((candidate) => candidate.key === key && !candidate.choices.length);
      if (!column) continue;
      const [from, to] = inputs.get(column);
      const whole = ["number", "count"].includes(column.format);
      from.value = whole ? Math.ceil(low) : Number(low.toPrecision(4));
      to.value = whole ? Math.floor(high) : Number(high.toPrecision(4));
      readRange(column);
    }
    refresh();
  });
  recall();
  order = { column: columns.find((column) => column.key === "value"), ascending: !maximise };
  refresh();
  $("trials-app").hidden = false;
  for (const id of ["best-trials", "trials-fallback"]) if ($(id)) $(id).hidden = true;
  document.documentElement.dataset.trials = "ready";
})();
