/* Animations hold still for readers who have asked their system for less motion, on paper, and for everybody at the press of
 * a button below each. */
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const stills = new URL("_static/stills/", new URL(
    document.documentElement.dataset.content_root, location.href)).href;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  for (const image of document.querySelectorAll('img[src$=".gif"]')) {
    const moving = image.src, name = moving.split("/").pop().replace(/\.gif$/, ".png");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "hold";
    const show = still => {
      image.src = still ? stills + name : moving;
      button.textContent = still ? "Play the animation" : "Hold it still";
    };
    button.addEventListener("click", () => show(image.src === moving));
    image.after(button);
    show(calm.matches);
    calm.addEventListener("change", () => show(calm.matches));
    addEventListener("beforeprint", () => show(true));
    addEventListener("afterprint", () => show(calm.matches));
  }
});
