/* What the pages to play with share: elements, sliders, boxes that can be dragged with a pointer or moved with the arrow
 * keys, and plots. A classic script, as minidet.js; it defines the global `play`.
 */
"use strict";

const play = (() => {
  const PAGES = [
    ["iou.html", "IoU"], ["anchors.html", "Anchors"], ["focal_loss.html", "Focal loss"], ["nms.html", "NMS"],
    ["average_precision.html", "AP"], ["glass.html", "Detector"], ["guess.html", "Guess first"],
  ];

  const find = id => document.getElementById(id);

  /** An element of HTML; attributes that are functions listen to the event of their name. */
  const html = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

  /** The same in SVG. */
  const svg = (tag, attributes, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

  function fill(node, attributes = {}, children) {
    set(node, attributes);
    node.append(...children);
    return node;
  }

  function set(node, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") node.addEventListener(name, value);
      else node.setAttribute(name, value);
    }
    return node;
  }

  /** Let `changed` follow the inputs and selects on a page, and their <output for="id"> show them with `format`. */
  function controls(ids, changed, format = {}) {
    const values = {};
    const read = () => {
      for (const id of ids) {
        const input = find(id);
        values[id] = input.type === "checkbox" ? input.checked : input.tagName === "SELECT" ? input.value : +input.value;
        const output = document.querySelector(`output[for="${id}"]`);
        if (output) output.textContent = (format[id] ?? String)(values[id]);
        if (output && input.type === "range") input.setAttribute("aria-valuetext", output.textContent);
      }
      changed(values);
    };
    for (const id of ids) find(id).addEventListener("input", read);
    return { values, read };
  }

  /** Let a node of an SVG be dragged, or moved with the arrow keys, with Shift ten times as far: moved(dx, dy, start). */
  function movable(node, name, moved, { role = "slider", start = () => null } = {}) {
    const stage = () => node.ownerSVGElement;
    let from = null, before = null;
    set(node, { tabindex: 0, role, "aria-label": name, class: "movable" });
    if (role === "slider") set(node, { "aria-valuenow": 0, "aria-roledescription": "movable with the arrow keys" });
    node.addEventListener("pointerdown", event => {
      [from, before] = [point(stage(), event), start()];
      node.setPointerCapture(event.pointerId);
      node.focus({ preventScroll: true });
      event.stopPropagation();
    });
    node.addEventListener("pointermove", event => {
      if (!from) return;
      const [x, y] = point(stage(), event);
      moved(Math.round(x - from[0]), Math.round(y - from[1]), before);
    });
    const end = () => { from = null; };
    node.addEventListener("pointerup", end);
    node.addEventListener("pointercancel", end);
    node.addEventListener("keydown", event => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      moved(...step.map(part => part * (event.shiftKey ? 10 : 1)), start());
    });
    return node;
  }

  /** Where in the coordinates of an SVG a pointer is. */
  function point(stage, event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(stage.getScreenCTM().inverse());
    return [x, y];
  }

  /** A box [x1, y1, x2, y2] that is moved by its body and resized by its lower right corner. Returns how to redraw it. */
  function box(stage, name, colour, get, put, { inverted = () => false, fill = 0.12 } = {}) {
    const [, , width, height] = stage.getAttribute("viewBox").split(" ").map(Number);
    const within = (value, low, high) => Math.min(Math.max(value, low), high);
    const body = svg("rect", { fill: colour, "fill-opacity": fill, stroke: colour, "stroke-width": 2 });
    const corner = svg("g", {}, svg("circle", { r: width / 28, class: "reach" }), // for a fingertip
      svg("circle", { r: width / 50, fill: colour, "fill-opacity": 0.9, stroke: "var(--card)", "stroke-width": 1.5 }));
    movable(body, `${name}: move`, (dx, dy, [x1, y1, x2, y2]) => {
      dx = within(dx, -Math.min(x1, x2), width - Math.max(x1, x2));
      dy = within(dy, -Math.min(y1, y2), height - Math.max(y1, y2));
      put([x1 + dx, y1 + dy, x2 + dx, y2 + dy]);
    }, { start: get });
    movable(corner, `${name}: lower right corner`, (dx, dy, [x1, y1, x2, y2]) => {
      put([x1, y1, within(x2 + dx, inverted() ? 0 : x1, width), within(y2 + dy, inverted() ? 0 : y1, height)]);
    }, { start: get });
    stage.append(body, corner);
    return () => {
      const [x1, y1, x2, y2] = get();
      place(body, [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)]);
      set(corner, { transform: `translate(${x2} ${y2})` });
      for (const node of [body, corner]) set(node, { "aria-valuetext": get().map(v => v.toFixed()).join(", ") });
    };
  }

  /** Give a <rect> the corners of a box. */
  const place = (rect, [x1, y1, x2, y2]) => set(rect, { x: x1, y: y1, width: x2 - x1, height: y2 - y1 });

  /** An SVG with axes; x and y are [low, high]. Returns functions that place points and draw lines in it. */
  function plot(node, { x, y, xticks, yticks, xlabel, ylabel, width = 400, height = 260, label }) {
    const left = 46, right = 14, top = 22, bottom = 40;
    const px = value => left + (value - x[0]) / (x[1] - x[0]) * (width - left - right);
    const py = value => height - bottom - (value - y[0]) / (y[1] - y[0]) * (height - top - bottom);
    set(node, { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    const marks = svg("g");
    node.replaceChildren(marks);
    for (const value of xticks) marks.append(
      svg("line", { x1: px(value), x2: px(value), y1: py(y[0]), y2: py(y[1]), class: "grid" }),
      svg("text", { x: px(value), y: height - bottom + 15, "text-anchor": "middle", class: "soft" }, String(value)));
    for (const value of yticks) marks.append(
      svg("line", { x1: px(x[0]), x2: px(x[1]), y1: py(value), y2: py(value), class: "grid" }),
      svg("text", { x: left - 6, y: py(value) + 4, "text-anchor": "end", class: "soft" }, String(value)));
    marks.append(
      svg("text", { x: px((x[0] + x[1]) / 2), y: height - 7, "text-anchor": "middle" }, xlabel),
      svg("text", { x: 8, y: 15 }, ylabel));
    const drawing = svg("g");
    node.append(drawing);
    const inside = value => Math.min(Math.max(value, y[0] - (y[1] - y[0])), y[1] + (y[1] - y[0]));
    const path = points => points.map(([a, b], i) => `${i ? "L" : "M"}${px(a).toFixed(2)} ${py(inside(b)).toFixed(2)}`).join("");
    return {
      px, py,
      clear: () => drawing.replaceChildren(),
      add: (...nodes) => drawing.append(...nodes),
      line: (points, colour, more = {}) =>
        drawing.append(svg("path", { d: path(points), fill: "none", stroke: colour, "stroke-width": 2.2, ...more })),
    };
  }

  /** The head of every page: the other pages, the book, light or dark. */
  function head() {
    const file = location.pathname.split("/").pop();
    const theme = () => document.documentElement.dataset.theme
      ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    const stored = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
    if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;
    const toggle = () => {
      const next = theme() === "dark" ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      try { localStorage.setItem("theme", next); } catch { /* not kept where storage is blocked */ }
    };
    const links = PAGES.map(([address, name]) => address === file
      ? html("span", { class: "here", "aria-current": "page" }, name) : html("a", { href: address }, name));
    document.body.prepend(html("header", {},
      html("a", { href: "../index.html" }, "The book"),
      html("button", { type: "button", click: toggle }, "Light or dark"),
      html("nav", { class: "row", style: "margin-block: 0", "aria-label": "Pages to play with" }, ...links)));
  }

  if (window === window.top) head();
  else document.head.append(html("base", { target: "_top" })); // in a chapter: its links leave the frame
  return { find, html, svg, set, controls, movable, point, box, place, plot };
})();
