// The page about average precision: detections whose scores and correctness can be changed, and their curve.
"use strict";

const detections = [0.97, 0.91, 0.8, 0.7, 0.62, 0.55, 0.45, 0.3].map((score, i) =>
  ({ name: String.fromCharCode(65 + i), score, correct: [0, 1, 4, 6].includes(i) }));

const plot = play.plot(play.find("curve"), {
  x: [0, 1], y: [0, 1.05], xticks: [0, 0.25, 0.5, 0.75, 1], yticks: [0, 0.25, 0.5, 0.75, 1],
  xlabel: "recall", ylabel: "precision", label: "Precision over recall, with its envelope",
});

for (const detection of detections) {
  const id = `score-${detection.name}`, output = play.html("output", { for: id });
  const show = () => { output.textContent = detection.score.toFixed(2); };
  const slider = play.html("input", {
    type: "range", id, min: 0, max: 1, step: 0.01, value: detection.score,
    input: event => { detection.score = +event.target.value; show(); draw(values); },
  });
  const check = play.html("input", {
    type: "checkbox", id: `right-${detection.name}`, change: event => { detection.correct = event.target.checked; draw(values); },
  });
  check.checked = detection.correct;
  detection.check = check;
  play.find("detections").append(
    play.html("div", { class: "field" }, play.html("label", { for: id }, `score of ${detection.name}`), output, slider),
    play.html("label", { class: "check" }, check, `${detection.name} is right`));
  show();
}

const { values, read } = play.controls(["points", "sweep", "objects"], draw, { sweep: v => v.toFixed(2) });

function draw({ points, sweep, objects }) {
  const right = detections.filter(detection => detection.correct).length;
  if (objects < right) { // a right detection has an object each
    play.find("objects").value = right;
    return read();
  }
  const scores = detections.map(detection => detection.score), correct = detections.map(detection => detection.correct);
  const { precision, recall } = minidet.precision_recall(correct, scores, objects);
  const measured = points === "" ? null : +points;
  const ap = minidet.average_precision(precision, recall, measured);

  plot.clear();
  const envelope = minidet.envelope_of(precision), last = recall[recall.length - 1];
  const height = r => { const i = recall.findIndex(value => value >= r); return i < 0 ? 0 : envelope[i]; };
  const places = measured ? Array.from({ length: measured }, (_, k) => k / (measured - 1)) : [];
  const steps = recall.flatMap((r, i) => [[i ? recall[i - 1] : 0, envelope[i]], [r, envelope[i]]]);
  const drawn = [...steps, [last, 0], [1, 0]].filter(([r]) => r >= sweep);
  if (drawn.length && sweep > 0) drawn.unshift([sweep, height(sweep)]);
  plot.line(drawn, "var(--green)", { "stroke-width": 1.5 });
  for (const r of places) if (r >= sweep)
    plot.add(play.svg("circle", { cx: plot.px(r), cy: plot.py(height(r)), r: measured > 11 ? 1.6 : 4, fill: "var(--green)" }));
  plot.line(recall.map((r, i) => [r, precision[i]]), "var(--grey)", { "stroke-width": 1.2 });
  minidet.by_score(scores).forEach((index, n) => {
    const { name, correct: good } = detections[index], [cx, cy] = [plot.px(recall[n]), plot.py(precision[n])];
    plot.add(play.svg("circle", { cx, cy, r: 5, fill: good ? "var(--blue)" : "var(--orange)" }),
      play.svg("text", { x: cx + 7, y: cy - 5, class: "soft" }, name));
  });
  play.find("ap").textContent = ap.toFixed(4);
  play.find("told").textContent = `${right} of ${detections.length} detections are right, and ${right} of ${objects} objects `
    + `are found. Beyond recall ${last.toFixed(2)} the envelope is 0.`;
}

read();
