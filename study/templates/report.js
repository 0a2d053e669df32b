"use strict";
(() => {
  const charts = [...document.querySelectorAll(".chart")];
  const config = {
    displaylogo: false,
    responsive: true,
    plotlyServerURL: "",
    topojsonURL: "about:blank",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
  };

  // The page's own colours, so that charts follow the light, dark and print styles.
  const colors = () => {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axes = {};
    for (const axis of ["xaxis", "yaxis"]) {
      axes[`${axis}.gridcolor`] = color("--grid");
      axes[`${axis}.linecolor`] = color("--line");
      axes[`${axis}.zerolinecolor`] = color("--muted");
    }
    return {
      "font.color": color("--text"),
      "hoverlabel.bgcolor": color("--page"),
      "hoverlabel.bordercolor": color("--line"),
      "hoverlabel.font.color": color("--text"),
      ...axes,
    };
  };

  const draw = async (chart) => {
    const figure = JSON.parse(document.getElementById(`${chart.id}-data`).textContent);
    // A finger that drags over a chart means to scroll the page.
    if (matchMedia("(pointer: coarse)").matches) figure.layout.dragmode = false;
    await Plotly.newPlot(chart, figure.data, figure.layout, config);
    await Plotly.relayout(chart, colors());
  };

  Promise.all(charts.map(draw)).then(() => {
    const follow = () => charts.forEach((chart) => Plotly.relayout(chart, colors()));
    for (const query of ["(prefers-color-scheme: dark)", "print"]) {
      matchMedia(query).addEventListener("change", follow);
    }
  });
})();
