// The page about anchors: a photograph or a drawing with objects to move, a cell to choose, and what the rule of assignment makes of them.
"use strict";

const { PAPER_ANCHORS } = minidet, PER_CELL = PAPER_ANCHORS.scales.length * PAPER_ANCHORS.aspect_ratios.length;
const COLOURS = { "white cell": "var(--blue)", "red cell": "var(--orange)", platelet: "var(--pink)" };
const pictures = [
  ...photographs.map(({ objects, ...more }, i) => ({ ...more, title: `Photograph ${i + 1}`, objects: numbered(objects) })),
  { title: "Three shapes", size: [256, 256], objects: [
    { name: "disk", colour: "var(--blue)", box: [30, 40, 94, 104] },
    { name: "triangle", colour: "var(--orange)", box: [120, 90, 230, 220] },
    { name: "bar", colour: "var(--pink)", box: [150, 20, 200, 48] },
  ] },
];
let picture = pictures[0], objects, LEVELS, ANCHORS, GRIDS, redraw, movers = [];

/** Objects with the colour of their class, and with a number where there are several. */
function numbered(given) {
  return given.map(({ name, box }, i) => {
    const same = given.filter(other => other.name === name), before = given.slice(0, i).filter(other => other.name === name);
    return { name: same.length > 1 ? `${name} ${before.length + 1}` : name, colour: COLOURS[name], box };
  });
}

const chosen = { row: 5, column: 3 };

const stage = play.find("stage"), photograph = play.svg("image", { x: 0, y: 0, "pointer-events": "none" });
const [grid, assigned, cell, shapes] = ["grid", "", "", ""].map(name => play.svg("g", { class: name, "pointer-events": "none" }));
stage.append(photograph, grid, shapes, assigned, cell);

const { values, read } = play.controls(["level", "positive", "negative", "force", "all"], draw, {
  level: i => `P${PAPER_ANCHORS.levels[i]}: a cell every ${2 ** PAPER_ANCHORS.levels[i]} pixels, anchors of ${PAPER_ANCHORS.sizes[i]}`,
  positive: v => v.toFixed(2), negative: v => v.toFixed(2),
});
const marker = play.movable(play.svg("rect", { fill: "var(--ink)", "fill-opacity": 0.35, stroke: "var(--ink)" }),
  "The chosen cell", (dx, dy, start) => choose(start.row + dy, start.column + dx), { start: () => ({ ...chosen }) });

/** Take another picture, with its objects where they were. */
function open(next) {
  const [height, width] = next.size;
  picture = next;
  objects = next.objects.map(object => ({ ...object }));
  [GRIDS, LEVELS] = [minidet.grids(next.size, PAPER_ANCHORS), minidet.pyramid_anchors(next.size, PAPER_ANCHORS)];
  ANCHORS = LEVELS.flat();
  play.set(stage, { viewBox: `0 0 ${width} ${height}` });
  if (next.file) play.set(photograph, { href: next.file, width, height });
  photograph.style.display = next.file ? "" : "none";
  movers.forEach(node => node.remove());
  const others = new Set(stage.children);
  redraw = objects.map(object =>
    play.box(stage, `The ${object.name}`, object.colour, () => object.box, box => { object.box = box; draw(); }, { fill: 0.08 }));
  movers = [...stage.children].filter(node => !others.has(node));
  stage.append(marker);
  for (const button of play.find("pictures").children) play.set(button, { "aria-pressed": button.textContent === next.title });
  read();
}

play.find("pictures").append(...pictures.map(one => play.html("button", { type: "button", click: () => open(one) }, one.title)));

stage.addEventListener("pointerdown", event => { // only where no object is: those keep the event
  const [x, y] = play.point(stage, event), { stride } = GRIDS[values.level];
  choose(Math.floor(y / stride), Math.floor(x / stride));
});

function choose(row, column) {
  const { rows, columns } = GRIDS[values.level];
  chosen.row = Math.min(Math.max(row, 0), rows - 1);
  chosen.column = Math.min(Math.max(column, 0), columns - 1);
  draw();
}

/** An object of the image as a shape that fills its box. */
function shape({ name, colour, box: [x1, y1, x2, y2] }) {
  const paint = { fill: colour, "fill-opacity": 0.45 };
  if (name === "disk")
    return play.svg("ellipse", { cx: (x1 + x2) / 2, cy: (y1 + y2) / 2, rx: (x2 - x1) / 2, ry: (y2 - y1) / 2, ...paint });
  const corners = name === "triangle" ? [[x1, y2], [x2, y2], [(x1 + x2) / 2, y1]] : [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
  return play.svg("polygon", { points: corners.join(" "), ...paint });
}

const kind = label => label >= 0 ? ["assigned", "var(--green)"]
  : label === minidet.IGNORED ? ["ignored", "var(--pink)"] : ["background", "var(--grey)"];

const outline = (box, colour, width, opacity = 1) =>
  play.place(play.svg("rect", { fill: "none", stroke: colour, "stroke-width": width, "stroke-opacity": opacity }), box);

function draw() {
  const negative = Math.min(values.negative, values.positive); // the lower threshold cannot be above the upper one
  const gt = objects.map(object => object.box), { stride, rows, columns } = GRIDS[values.level];
  const assignment = minidet.assign_anchors(ANCHORS, gt, values.positive, negative, values.force);
  chosen.row = Math.min(chosen.row, rows - 1);
  chosen.column = Math.min(chosen.column, columns - 1);

  grid.replaceChildren(...Array.from({ length: rows + columns }, (_, i) => play.svg("path", {
    d: i < rows ? `M0 ${i * stride}H${picture.size[1]}` : `M${(i - rows) * stride} 0V${picture.size[0]}`,
  })));
  shapes.replaceChildren(...picture.file ? [] : objects.map(shape));
  redraw.forEach(one => one());
  play.place(marker, [chosen.column, chosen.row, chosen.column + 1, chosen.row + 1].map(v => v * stride));
  play.set(marker, { "aria-valuetext": `row ${chosen.row + 1}, column ${chosen.column + 1}` });
  assigned.replaceChildren(...values.all
    ? ANCHORS.filter((_, i) => assignment[i] >= 0).map(box => outline(box, "var(--green)", 0.6, 0.6)) : []);

  tell_objects(gt, assignment);
  tell_cell(gt, assignment);
}

function tell_objects(gt, assignment) {
  const count = label => assignment.filter(one => one === label).length;
  play.find("objects").replaceChildren(...objects.map(({ name, colour, box }, i) => {
    const best = Math.max(...ANCHORS.map(anchor => minidet.iou(anchor, box))), anchors = count(i);
    const text = anchors ? `${anchors} ${anchors === 1 ? "anchor" : "anchors"}`
      : best > 0 ? "no anchor: it is never learnt" : "no area: nothing can match it";
    return play.html("p", {}, play.html("b", { style: `color: ${colour}` }, `The ${name}: `),
      `${text}; its best IoU is ${best.toFixed(2)}.`);
  }));
  const positive = assignment.filter(label => label >= 0).length, background = count(minidet.BACKGROUND);
  play.find("counts").textContent = `Of ${assignment.length.toLocaleString("en")} anchors ${positive} are assigned, `
    + `${count(minidet.IGNORED)} ignored, ${background.toLocaleString("en")} background`
    + (positive ? `: 1 to ${Math.round(background / positive).toLocaleString("en")}.` : ".");
}

function tell_cell(gt, assignment) {
  const level = LEVELS[values.level], { columns } = GRIDS[values.level];
  const first = (chosen.row * columns + chosen.column) * PER_CELL;
  const before = LEVELS.slice(0, values.level).reduce((sum, one) => sum + one.length, 0);
  const rows = [], boxes = [];
  for (let a = 0; a < PER_CELL; a++) {
    const anchor = level[first + a], label = assignment[before + first + a];
    const [overlaps] = minidet.box_iou([anchor], gt), best = Math.max(...overlaps);
    const [word, colour] = kind(label), ratio = PAPER_ANCHORS.aspect_ratios[Math.floor(a / 3)];
    boxes.push(outline(anchor, colour, word === "background" ? 1 : 2));
    rows.push([ratio, PAPER_ANCHORS.scales[a % 3].toFixed(2),
      `${(anchor[2] - anchor[0]).toFixed(1)} × ${(anchor[3] - anchor[1]).toFixed(1)}`, best > 0 ? `${best.toFixed(3)}, ${objects[overlaps.indexOf(best)].name}` : "0", word]);
  }
  cell.replaceChildren(...boxes);
  play.find("cell").replaceChildren(...rows.map(row => play.html("tr", {}, ...row.map(text => play.html("td", {}, String(text))))));
  play.find("where").textContent = `Row ${chosen.row + 1}, column ${chosen.column + 1} of P${PAPER_ANCHORS.levels[values.level]}. `
    + "An anchor's ratio is its height / width; large ones reach outside the image.";
}

open(picture);
