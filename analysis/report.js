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
  // one after another, with a breath between: the page can be read and scrolled meanwhile
  async drawMissing() {
    for (const figure of document.querySelectorAll("figure[data-plot]")) {
      if (!figure.querySelector(".js-plotly-plot")) {
        await report.draw(figure);
        await new Promise(resolve => setTimeout(resolve));
      }
    }
    document.documentElement.dataset.drawn = "yes";
  },
  async start() {
    try {
      await report.unpack();
    } catch (error) {
      document.getElementById("undrawn").hidden = false;
      return;
    }
    await report.drawMissing();
  },
};
report.ready = report.start();
