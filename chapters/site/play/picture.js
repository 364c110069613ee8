/* The picture of the glass detector's page: one of those that come with it, an empty one or the reader's own, with the
 * shapes that are drawn on it. A classic script; it defines the global `picture`.
 */
"use strict";

const picture = (() => {
  const SIDE = 128, HOLE = 0.55, DENT = 0.42; // the shapes are those of minidet/data/drawing.py
  const surface = () => play.set(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const base = surface(), canvas = surface();
  const [below, above] = [base, canvas].map(one => one.getContext("2d", { willReadFrequently: true }));
  let given = [], drawn = [];

  const corners = radii => radii.map((r, i) => [r * Math.cos(2 * Math.PI * i / radii.length), r * Math.sin(2 * Math.PI * i / radii.length)]);
  const upright = points => points.map(([x, y]) => [y, -x]);
  const round = Array(64).fill(1);
  const OUTLINES = {
    disk: [corners(round)],
    square: [[[1, 1], [-1, 1], [-1, -1], [1, -1]]],
    triangle: [upright(corners([1, 1, 1]))],
    star: [upright(corners(Array.from({ length: 10 }, (_, i) => (i % 2 ? DENT : 1))))],
    cross: [[[3, 1], [1, 1], [1, 3], [-1, 3], [-1, 1], [-3, 1], [-3, -1], [-1, -1], [-1, -3], [1, -3], [1, -1], [3, -1]]],
    ring: [corners(round), corners(round).map(([x, y]) => [HOLE * x, HOLE * y])],
  };

  /** Fill a box with a shape. */
  function paint({ name, box: [x1, y1, x2, y2], colour }) {
    const all = OUTLINES[name].flat(), low = [0, 1].map(k => Math.min(...all.map(p => p[k])));
    const span = [0, 1].map(k => Math.max(...all.map(p => p[k])) - low[k]);
    above.fillStyle = colour;
    above.beginPath();
    for (const loop of OUTLINES[name]) {
      loop.forEach(([x, y], i) => above[i ? "lineTo" : "moveTo"](
        x1 + (x - low[0]) / span[0] * (x2 - x1), y1 + (y - low[1]) / span[1] * (y2 - y1)));
      above.closePath();
    }
    above.fill("evenodd");
  }

  function compose() {
    above.drawImage(base, 0, 0);
    drawn.filter(one => one.colour).forEach(paint);
  }

  function begin(objects) {
    [given, drawn] = [objects, []];
    compose();
  }

  /** One of the pictures that come with the page. */
  function show({ pixels, boxes, classes }) {
    const bytes = network.bytes(pixels), image = below.createImageData(SIDE, SIDE);
    for (let i = 0; i < SIDE * SIDE; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes[3 * i + c];
      image.data[4 * i + 3] = 255;
    }
    below.putImageData(image, 0, 0);
    begin(boxes.map((box, i) => ({ name: glass.classes[classes[i]], box })));
  }

  function empty() {
    below.fillStyle = "#c9ccc4";
    below.fillRect(0, 0, SIDE, SIDE);
    begin([]);
  }

  /** The middle of an image file as a square. */
  async function load(file) {
    const image = await createImageBitmap(file), side = Math.min(image.width, image.height);
    below.imageSmoothingQuality = "high";
    below.drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
    begin([]);
  }

  return {
    SIDE, show, empty, load,
    /** Draw a shape in a box, or with no colour say that one is there. */
    add(name, box, colour) { drawn.push({ name, box, colour }); compose(); },
    undo() { drawn.pop(); compose(); },
    changes: () => drawn.length,
    objects: () => [...given, ...drawn],
    pixels: () => above.getImageData(0, 0, SIDE, SIDE).data,
    address: () => canvas.toDataURL(),
    /** The picture, dark where the weights, one per pixel and 1 at most, are small. */
    lit(weights) {
      const one = surface(), context = one.getContext("2d"), image = above.getImageData(0, 0, SIDE, SIDE);
      image.data.forEach((value, i, data) => { if (i % 4 < 3) data[i] = value * (0.12 + 0.88 * weights[i >> 2]); });
      context.putImageData(image, 0, 0);
      return one.toDataURL();
    },
  };
})();
