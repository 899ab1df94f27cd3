"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);
  const views = new Map();
  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const inks = () => {
    const [ink, grid, paper] = dark() ? ["#c9d1d9", "#39424b", "#14181c"] : ["#33393f", "#dddddd", "#ffffff"];
    const text = { labelColor: ink, titleColor: ink };
    return {
      background: paper,
      axis: { ...report.config.axis, ...text, gridColor: grid, domainColor: ink, tickColor: ink },
      legend: { ...report.config.legend, ...text, columns: innerWidth < 600 ? 1 : 2 },
      axisQuantitative: { tickCount: innerWidth < 600 ? 5 : 8 },
      title: { ...report.config.title, color: ink },
    };
  };
  const names = (value, found) => {
    if (Array.isArray(value)) value.forEach((item) => names(item, found));
    else if (value && typeof value === "object") {
      if (value.data && value.data.name in report.data) found.add(value.data.name);
      Object.values(value).forEach((item) => names(item, found));
    }
    return found;
  };
  const draw = async (place) => {
    const chart = report.charts[place.dataset.chart];
    const chosen = document.querySelector(`input[name="form-${place.dataset.chart}"]:checked`);
    const spec = chart.forms[chosen ? Number(chosen.value) : 0].spec;
    const datasets = Object.fromEntries([...names(spec, new Set())].map((name) => [name, report.data[name]]));
    const config = { ...report.config, ...inks() };
    const shown = await window.vegaEmbed(place, { ...spec, datasets, config, autosize: { type: "fit-x", contains: "padding" } }, {
      renderer: "svg",
      actions: { export: true, source: false, compiled: false, editor: false },
    });
    views.get(place)?.finalize();
    views.set(place, shown);
  };
  const places = [...document.querySelectorAll(".chart")];
  const soon = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      soon.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  places.forEach((place) => soon.observe(place));
  addEventListener("beforeprint", () => places.filter((place) => !views.has(place)).forEach(draw));
  const again = () => places.filter((place) => views.has(place)).forEach(draw);
  document.getElementById("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    again();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let wide = innerWidth;
  addEventListener("resize", () => {
    if ((wide < 600) !== (innerWidth < 600)) again();
    wide = innerWidth;
  });
  document.addEventListener("change", (event) => {
    if (event.target.name?.startsWith("form-")) draw(event.target.closest("figure").querySelector(".chart"));
  });
  const key = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const number = /^[-\u2212]?[\d,]*\.?\d+/.exec(text);
    if (!number) return [1, 0, text];
    const size = { k: 1e3, M: 1e6, G: 1e9 }[text[number[0].length]] ?? 1;
    return [0, size * Number(number[0].replace(/,/g, "").replace("\u2212", "-")), text];
  };
  const order = (a, b) => a[0] - b[0] || a[1] - b[1] || a[2].localeCompare(b[2]);
  for (const table of document.querySelectorAll("table.sortable")) {
    table.querySelectorAll("thead th").forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const body = table.tBodies[0];
        const rows = [...body.rows].map((row) => [key(row, column), row]);
        rows.sort((a, b) => (up ? 1 : -1) * order(a[0], b[0]));
        body.append(...rows.map((pair) => pair[1]));
      });
    });
  }
})();
