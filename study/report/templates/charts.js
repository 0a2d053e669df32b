// Draws the charts, in the page's colours, and lets them follow the filter of trials.
//
// A trace with meta.trials shows single trials, whose numbers are its customdata; meta.incumbents
// is the best value so far and meta.edf the distribution of a family. The event "trials-filtered"
// says which trials are left; "trials-brushed" tells which ranges of columns a reader has drawn.
(() => {
  const places = [...document.querySelectorAll(".chart")];
  const coarse = matchMedia("(pointer: coarse)");
  const config = {
    displaylogo: false,
    responsive: true,
    plotlyServerURL: "",
    topojsonURL: "about:blank",
    // Nothing leaves the page, so no button that sends a chart to a server.
    showSendToCloud: false,
    modeBarButtonsToRemove: ["lasso2d", "autoScale2d"],
    displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
  };

  const colors = (layout) => {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const update = {
      "font.color": color("--text"),
      "hoverlabel.bgcolor": color("--page"),
      "hoverlabel.bordercolor": color("--line"),
      "hoverlabel.font.color": color("--text"),
      "newselection.line.color": color("--accent"),
      "modebar.bgcolor": "rgba(0, 0, 0, 0)",
      "modebar.color": color("--muted"),
      "modebar.activecolor": color("--accent"),
    };
    for (const axis of Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name))) {
      update[`${axis}.gridcolor`] = color("--grid");
      update[`${axis}.linecolor`] = color("--line");
      update[`${axis}.zerolinecolor`] = color("--muted");
    }
    return update;
  };

  // Setting colours before the first drawing saves a second one.
  const paint = (layout) => {
    for (const [path, color] of Object.entries(colors(layout))) {
      const names = path.split(".");
      const last = names.pop();
      names.reduce((part, name) => (part[name] ??= {}), layout)[last] = color;
    }
  };

  const brushOf = (figure) => figure.layout.meta?.brush;

  const draw = async (place) => {
    const figure = JSON.parse(document.getElementById(`${place.id}-data`).textContent);
    // A finger that drags over a chart means to scroll the page.
    if (coarse.matches) figure.layout.dragmode = false;
    else if (brushOf(figure)) figure.layout.dragmode = "select";
    place.whole = figure.data.map((trace) => ({ x: trace.x, y: trace.y }));
    paint(figure.layout);
    await Plotly.newPlot(place, figure.data, figure.layout, config);
    // Icons of buttons that have a name, and empty elements of plotly's own.
    for (const icon of document.querySelectorAll(".modebar svg, #js-plotly-tester, .main-svg")) {
      if (!icon.textContent) icon.setAttribute("aria-hidden", "true");
    }
    // Six stops of the Tab key for each chart are too many.
    for (const button of place.querySelectorAll(".modebar-btn")) button.tabIndex = -1;
    if (brushOf(figure)) {
      place.on("plotly_selected", (event) => {
        if (!event?.range) return;
        const ranges = {}, chosen = {};
        // What no column holds is told by the trials that lie in the box.
        let numbers = null;
        for (const [axis, range] of Object.entries(event.range)) {
          const column = brushOf(figure)[axis];
          const { choices } = brushOf(figure);
          const [low, high] = [Math.min(...range), Math.max(...range)];
          // The trials of a choice are spread around its place.
          if (choices && axis === "x") chosen[column] = choices.filter((_, i) => low < i + 0.3 && high > i - 0.3);
          else if (column) ranges[column] = [low, high];
          else {
            const points = event.points.filter((point) => point.data.meta?.trials);
            numbers = new Set(points.map((point) => [point.customdata].flat()[0]));
          }
        }
        Plotly.relayout(place, { selections: [] });
        Plotly.restyle(place, { selectedpoints: null });
        document.dispatchEvent(new CustomEvent("trials-brushed", { detail: { ranges, chosen, numbers } }));
      });
    }
    if (figure.layout.meta?.progress) offerTime(place, figure.layout.meta.progress);
    place.on("plotly_click", ({ points }) => {
      const point = points.find((candidate) => candidate.data.meta?.trials);
      const number = point && [point.customdata].flat()[0];
      if (typeof number === "number") {
        document.dispatchEvent(new CustomEvent("trial-opened", { detail: number }));
      }
    });
  };

  // Learning curves over steps, or over each trial's seconds per step.
  const offerTime = (place, { names, seconds }) => {
    const steps = place.whole.map(({ x }) => x);
    const times = place.data.map((trace, i) =>
      steps[i].map((step, j) => step === null ? null : step * (seconds[numberAt(trace, j)] ?? NaN)));
    const bar = place.parentElement.querySelector(".switch");
    names.forEach((name, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `over ${name}`;
      button.onclick = () => {
        const x = i ? times : steps;
        place.whole.forEach((trace, j) => { trace.x = x[j]; });
        Plotly.update(place, { x }, { "xaxis.title.text": name, "xaxis.autorange": true });
        for (const other of bar.children) other.setAttribute("aria-pressed", other === button);
      };
      button.setAttribute("aria-pressed", i === 0);
      bar.append(button);
    });
  };

  const numberAt = (trace, i) => [trace.customdata[i]].flat()[0];

  const stepsOf = ({ trials, maximise }) => {
    const steps = { x: [], y: [] };
    let best = null;
    for (const { number, candidate, value } of trials) {
      if (candidate && typeof value === "number") {
        best = best === null ? value : maximise ? Math.max(best, value) : Math.min(best, value);
      }
      if (best !== null) {
        steps.x.push(number);
        steps.y.push(best);
      }
    }
    return steps;
  };

  const sharesOf = ({ trials }, family) => {
    const values = trials
      .filter((trial) => trial.complete && (family === "all" || trial.family === family))
      .map((trial) => trial.value)
      .filter(Number.isFinite)
      .sort((a, b) => a - b);
    return { x: values, y: values.map((_, i) => (i + 1) / values.length) };
  };

  const follow = (place, left) => {
    const x = [], y = [], indices = [], others = [];
    place.data.forEach((trace, i) => {
      const { meta } = trace;
      const whole = place.whole[i];
      let shown;
      if (meta?.trials) {
        const passes = (value, j) => left.numbers.has(numberAt(trace, j)) ? value : null;
        shown = { x: whole.x, y: left.all ? whole.y : whole.y.map(passes) };
      } else if (meta?.incumbents) {
        shown = left.all ? whole : stepsOf(left);
      } else if (meta?.edf) {
        shown = left.all ? whole : sharesOf(left, meta.edf);
      } else {
        others.push(i);
        return;
      }
      x.push(shown.x);
      y.push(shown.y);
      indices.push(i);
    });
    const follows = indices.length > 0;
    if (follows) {
      Plotly.restyle(place, { x, y }, indices);
      // What was computed from all trials would mislead beside some of them.
      if (others.length) Plotly.restyle(place, { visible: left.all }, others);
    }
    const figure = place.closest("figure");
    let note = figure.querySelector(".all-trials");
    if (!follows && !note) {
      note = document.createElement("p");
      note.className = "note all-trials";
      note.textContent = "of all trials, whatever the filter";
      figure.append(note);
    }
    if (note) note.hidden = left.all;
  };

  // Lets the page answer whoever uses it meanwhile.
  const answer = () => new Promise((resolve) => {
    if ("requestIdleCallback" in window) requestIdleCallback(resolve, { timeout: 1000 });
    else setTimeout(resolve, 50);
  });

  // Reading plotly.js takes a second, so it waits for the first chart that comes near.
  let plotly;
  const loaded = () => {
    plotly ??= (async () => {
      const script = document.createElement("script");
      script.textContent = await unpack("plotly").text();
      document.head.append(script);
    })();
    return plotly;
  };

  // One chart after the other, so that the page answers while they are drawn.
  const asked = new Map();
  let last = Promise.allSettled([table]);  // without its data, charts are drawn all the same
  let left = null;
  const ask = (place) => {
    if (!asked.has(place)) {
      last = last.then(answer).then(loaded).then(() => draw(place)).then(() => {
        place.dataset.drawn = "";
        if (left) follow(place, left);
      });
      asked.set(place, last);
    }
    return asked.get(place);
  };
  drawAll = async () => {
    await Promise.all(places.map(ask));
    document.documentElement.dataset.charts = "drawn";
  };
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      ask(target);
    }
  }, { rootMargin: "500px" });
  for (const place of places) near.observe(place);

  const drawn = () => places.filter((place) => "drawn" in place.dataset);
  const recolor = () => drawn().forEach((place) => Plotly.relayout(place, colors(place.layout)));
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(query).addEventListener("change", recolor);
  }
  document.addEventListener("trials-filtered", ({ detail }) => {
    left = detail;
    drawn().forEach((place) => follow(place, left));
    document.documentElement.dataset.filtered = String(left.numbers.size);
  });
})();
