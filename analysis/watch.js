"use strict";
// Asks for the page again, and puts what is new in the place of what was: scroll, focus and open tables stay.
{
  const SECONDS = 5;
  let shown = document.body.dataset.state;
  const sources = new Map([...document.querySelectorAll("section[id]")].map(one => [one.id, one.innerHTML]));

  function place(element) {
    const section = element?.closest?.("section[id], header");
    if (!section) return null;
    const kind = "a, summary, .scroll, pre";
    return {id: section.id, at: [...section.querySelectorAll(kind)].indexOf(element), kind};
  }

  function found(where) {
    const section = where && (where.id ? document.getElementById(where.id) : document.querySelector("header"));
    return section && where.at >= 0 ? section.querySelectorAll(where.kind)[where.at] : null;
  }

  function swap(old, fresh) {
    const open = new Set([...old.querySelectorAll("details[open] > summary")].map(one => one.textContent.split(" (")[0]));
    const scrolled = [...old.querySelectorAll(".scroll, pre")].map(one => [one.scrollLeft, one.scrollTop]);
    const drawn = new Map([...old.querySelectorAll("figure[data-plot]")].map(one => [one.dataset.plot, one]));
    for (const details of fresh.querySelectorAll("details")) {
      details.open = open.has(details.querySelector("summary").textContent.split(" (")[0]);
    }
    for (const figure of fresh.querySelectorAll("figure[data-plot]")) {
      const before = drawn.get(figure.dataset.plot)?.querySelector(".js-plotly-plot");
      if (!before) continue;
      const empty = figure.querySelector(".plot");
      before.setAttribute("aria-label", empty.getAttribute("aria-label"));
      empty.replaceWith(before);
    }
    old.replaceChildren(...fresh.childNodes);
    old.querySelectorAll(".scroll, pre").forEach((one, i) => scrolled[i] && ([one.scrollLeft, one.scrollTop] = scrolled[i]));
    for (const figure of old.querySelectorAll("figure[data-plot]")) {
      if (figure.querySelector(".js-plotly-plot")) report.draw(figure);
    }
  }

  function renew(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const focused = place(document.activeElement);
    const anchor = [...document.querySelectorAll("main > section")].find(one => one.getBoundingClientRect().bottom > 0);
    const top = anchor?.getBoundingClientRect().top;
    document.title = fresh.title;
    for (const old of document.querySelectorAll("section[id]")) {
      const section = fresh.getElementById(old.id);
      if (section && section.innerHTML !== sources.get(old.id)) {
        sources.set(old.id, section.innerHTML);
        swap(old, section);
      }
    }
    report.drawMissing();
    if (scrollY > 0 && anchor) scrollBy({top: anchor.getBoundingClientRect().top - top, behavior: "instant"});
    found(focused)?.focus({preventScroll: true});
  }

  async function ask() {
    const lost = document.getElementById("lost");
    try {
      const answer = await fetch("/", {headers: {"If-None-Match": shown}, cache: "no-store"});
      if (answer.status === 200) {
        renew(await answer.text());
        shown = answer.headers.get("ETag");
      }
      lost.hidden = true;
    } catch (error) {
      lost.hidden = false;
    }
    setTimeout(ask, SECONDS * 1000);
  }
  report.ready.then(() => setTimeout(ask, SECONDS * 1000));
}
