// On the map: who is pointed at, with all of its operator and its group.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const map = document.querySelector("svg.map[role]"), said = document.querySelector(".pointed");
  if (!map || !said) return;
  said.hidden = false;
  const all = [...map.querySelectorAll("[data-operator], .swarm")];
  const point = (e) => {
    const at = e && e.target.closest && e.target.closest("a.node");
    if (!at) {
      map.classList.remove("pointing");
      for (const x of all) x.classList.remove("kin");
      said.textContent = "";
      return;
    }
    const { operator, group } = at.dataset;
    let relays = 0;
    for (const x of all) {
      const own = x.dataset.operator === operator;
      const kin = own || (group !== undefined && x.dataset.group === group);
      x.classList.toggle("kin", kin);
      if (own) relays++;
    }
    map.classList.add("pointing");
    said.textContent = at.getAttribute("aria-label") + (relays > 1 ? `, who has ${relays} relays` : "");
  };
  map.addEventListener("pointerover", point);
  map.addEventListener("pointerleave", () => point(null));
  map.addEventListener("focusin", point);
  map.addEventListener("focusout", () => point(null));
});
