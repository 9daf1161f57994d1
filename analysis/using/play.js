"use strict";
// Asks for the picture of what the form says, one at a time: what changed meanwhile is asked for when it has come.
{
  const form = document.getElementById("asked"), picture = document.getElementById("picture");
  const lost = document.getElementById("lost"), next = document.getElementById("next");
  let busy = !picture.complete, shown = picture.getAttribute("src");

  function ask() {
    document.getElementById("told").value = form.elements.truncation.value;
    const wanted = "/picture.png?" + new URLSearchParams(new FormData(form));
    if (busy || wanted === shown || !form.checkValidity()) return;
    busy = true;
    shown = wanted;
    picture.classList.add("old");
    picture.src = wanted;
  }
  function came(well) {
    busy = false;
    lost.hidden = well;
    picture.classList.toggle("old", !well);
    ask();
  }
  picture.addEventListener("load", () => came(true));
  picture.addEventListener("error", () => came(false));
  form.addEventListener("input", ask);
  form.addEventListener("submit", event => { event.preventDefault(); ask(); });
  next.addEventListener("click", () => { form.elements.seed.stepUp(); ask(); });
  document.getElementById("show").hidden = true;
  next.hidden = false;
}
