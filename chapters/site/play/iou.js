// The page about IoU: two boxes, the right value, and the one that the chosen mistakes give.
"use strict";

const WIDTH = 400, HEIGHT = 300;
const boxes = { A: [60, 60, 220, 200], B: [130, 100, 300, 250] };

const EXAMPLES = {
  "one half": [[60, 60, 210, 210], [110, 60, 260, 210]],
  "one inside the other": [[60, 40, 340, 260], [150, 110, 240, 190]],
  "apart, diagonally": [[20, 20, 120, 110], [250, 180, 350, 270]],
  "touching": [[100, 100, 108, 108], [108, 100, 116, 108]],
  "no area": [[200, 150, 200, 150], [200, 150, 200, 150]],
  "large": [[10, 10, 390, 290], [14, 12, 394, 292]],
};

const FORMATS = {
  "corners, continuous (minidet)": ([x1, y1, x2, y2]) => [x1, y1, x2, y2],
  "COCO: x, y, width, height": ([x1, y1, x2, y2]) => [x1, y1, x2 - x1, y2 - y1],
  "Pascal VOC: inclusive, from 1": ([x1, y1, x2, y2]) => [x1 + 1, y1 + 1, x2, y2],
  "centre, width, height": ([x1, y1, x2, y2]) => [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1],
  "YOLO: that as fractions of the image": ([x1, y1, x2, y2]) =>
    [(x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT],
};

/** The nearest number of 11 significant bits, infinite above 65,504: half precision. */
function to_half(value) {
  const size = Math.abs(value);
  if (!size || !Number.isFinite(size)) return value;
  const unit = 2 ** Math.max(Math.floor(Math.log2(size)) - 10, -24);
  const below = Math.floor(size / unit), rest = size / unit - below;
  const rounded = (below + (rest > 0.5 || (rest === 0.5 && below % 2) ? 1 : 0)) * unit;
  return Math.sign(value) * (rounded > 65504 ? Infinity : rounded);
}

/** The formula as one writes it at first, with the mistakes that are switched on. */
function naive_iou(a, b, mistakes) {
  const round = mistakes.half ? to_half : value => value;
  const side = (low, high) => round(round(high - low) + (mistakes.inclusive ? 1 : 0));
  const area = box => round(side(box[0], box[2]) * side(box[1], box[3]));
  let w = side(Math.max(a[0], b[0]), Math.min(a[2], b[2])), h = side(Math.max(a[1], b[1]), Math.min(a[3], b[3]));
  if (!mistakes.negative) [w, h] = [Math.max(0, w), Math.max(0, h)];
  const shared = round(w * h), union = round(round(area(a) + area(b)) - shared);
  if (!mistakes.nothing && union === 0) return 0;
  return round(shared / union);
}

const stage = play.find("stage");
const shared = play.svg("rect", { fill: "var(--green)", "fill-opacity": 0.55 });
stage.append(shared);
const mistakes = play.controls(["negative", "inverted", "nothing", "inclusive", "half"], draw);
const redraw = Object.entries({ A: "var(--blue)", B: "var(--orange)" }).map(([name, colour]) =>
  play.box(stage, `Box ${name}`, colour, () => boxes[name], corners => { boxes[name] = corners; draw(); },
    { inverted: () => mistakes.values.inverted }));

for (const [name, pair] of Object.entries(EXAMPLES))
  play.find("presets").append(play.html("button", {
    type: "button", click: () => { [boxes.A, boxes.B] = pair.map(corners => [...corners]); draw(); },
  }, name));

function draw() {
  const { A, B } = boxes, show = (id, text) => { play.find(id).textContent = text; };
  redraw.forEach(one => one());
  const upright = [A, B].every(([x1, y1, x2, y2]) => x1 <= x2 && y1 <= y2);
  const common = upright ? minidet.intersection(A, B) : [0, 0, 0, 0];
  play.place(shared, common);
  const right = minidet.iou(A, B), [overlap] = minidet.box_area([common]);
  const union = minidet.box_area([A, B]).reduce((sum, one) => sum + one) - overlap;
  if (upright) {
    show("iou", right.toFixed(3));
    show("fraction", `${overlap.toLocaleString("en")} / ${union.toLocaleString("en")} square pixels.`);
    show("verdict", right >= 0.5 ? "As anchor and object: assigned." : right < 0.4 ? "As anchor and object: background."
      : "As anchor and object: ignored in training.");
  } else {
    show("iou", "refused");
    show("fraction", "A box is inverted: its second corner lies before its first.");
    show("verdict", "");
  }
  const wrong = naive_iou(A, B, mistakes.values);
  show("wrong", Number.isNaN(wrong) ? "NaN" : wrong.toFixed(3));
  show("difference", !upright ? "An area of two negative sides is positive, and no box seems to overlap this one."
    : Object.is(wrong, right) || Math.abs(wrong - right) < 5e-4 ? "The same. Try the examples below the picture."
      : "Wrong, and nothing crashes.");
  play.find("formats").replaceChildren(...Object.entries(FORMATS).map(([name, write]) => {
    const numbers = write(B), misread = [...numbers];
    const valid = misread[0] <= misread[2] && misread[1] <= misread[3];
    return play.html("tr", {}, play.html("td", {}, name),
      play.html("td", {}, numbers.map(value => +value.toFixed(3)).join("  ")),
      play.html("td", {}, upright && valid ? minidet.iou(B, misread).toFixed(3) : "inverted"));
  }));
}

mistakes.read();
