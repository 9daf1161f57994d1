"use strict";
const report = {
  // plotly.js stands gzipped in the page; a browser too old to unpack it still has the tables
  async unpack() {
    const packed = document.getElementById("plotly").textContent.trim();
    const bytes = Uint8Array.from(atob(packed), character => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  },
  draw(figure) {
    const plot = JSON.parse(document.getElementById(figure.dataset.plot).textContent);
    const place = figure.querySelector(".plot");
    const first = !place.classList.contains("js-plotly-plot");
    return Plotly.react(place, plot.data, plot.layout, {displayModeBar: false}).then(() => {
      if (first) new ResizeObserver(() => Plotly.Plots.resize(place)).observe(place);
    });
  },
  async start() {
    try {
      await report.unpack();
    } catch (error) {
      document.getElementById("undrawn").hidden = false;
      return;
    }
    // those in view first, the others as they come near: a long report is readable at once
    const near = new IntersectionObserver(entries => {
      for (const entry of entries.filter(one => one.isIntersecting)) {
        near.unobserve(entry.target);
        report.draw(entry.target);
      }
    }, {rootMargin: "1500px"});
    report.watchPlots = () => document.querySelectorAll("figure[data-plot]").forEach(figure => near.observe(figure));
    report.watchPlots();
    addEventListener("beforeprint", () => document.querySelectorAll("figure[data-plot]").forEach(report.draw));
  },
};
report.ready = report.start();
