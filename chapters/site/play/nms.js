// The page about suppression: boxes with scores, and what each step of the greedy algorithm does with them.
"use strict";

const COLOURS = { cat: "var(--blue)", dog: "var(--orange)" };
const detections = [
  { box: [60, 70, 170, 210], score: 0.92, name: "cat" }, { box: [75, 86, 185, 222], score: 0.85, name: "cat" },
  { box: [45, 52, 150, 190], score: 0.61, name: "cat" }, { box: [52, 104, 176, 218], score: 0.55, name: "dog" },
  { box: [110, 124, 215, 224], score: 0.48, name: "cat" }, { box: [230, 100, 350, 250], score: 0.88, name: "dog" },
  { box: [243, 116, 363, 258], score: 0.74, name: "dog" }, { box: [270, 135, 372, 272], score: 0.35, name: "dog" },
];
const letter = index => String.fromCharCode(65 + index);

const stage = play.find("stage");
const labels = play.svg("g", { "pointer-events": "none" });
const { values, read } = play.controls(["threshold", "classes", "step"], draw, { threshold: v => v.toFixed(2) });
const redraw = detections.map((detection, i) => {
  const update = play.box(stage, `Box ${letter(i)}, ${detection.name}`, COLOURS[detection.name], () => detection.box,
    box => { detection.box = box; draw(); }, { fill: 0.04 });
  return { update, body: stage.children[2 * i], corner: stage.children[2 * i + 1] };
});
stage.append(labels);

const go = step => { play.find("step").value = step; read(); };
play.find("back").addEventListener("click", () => go(values.step - 1));
play.find("next").addEventListener("click", () => go(values.step + 1));
play.find("end").addEventListener("click", () => go(play.find("step").max));

/** What each box is after so many steps: ["kept", ""] or ["dropped", why] or ["open", ""]. */
function states(steps) {
  const found = detections.map(() => ["open", ""]);
  for (const { kept, dropped } of steps) {
    found[kept] = ["kept", ""];
    for (const { index, iou } of dropped) found[index] = ["dropped", `by ${letter(kept)}, IoU ${iou.toFixed(2)}`];
  }
  return found;
}

function draw() {
  const pick = key => detections.map(detection => detection[key]);
  const steps = minidet.nms_steps(pick("box"), pick("score"), values.classes ? pick("name") : null, values.threshold);
  const slider = play.find("step"), done = Math.min(values.step, steps.length);
  slider.max = steps.length;
  values.step = done;
  document.querySelector('output[for="step"]').textContent = `${done} of ${steps.length}`;
  play.find("back").disabled = done === 0;
  play.find("next").disabled = play.find("end").disabled = done === steps.length;

  const now = states(steps.slice(0, done)), current = done ? steps[done - 1].kept : -1;
  labels.replaceChildren();
  redraw.forEach(({ update, body, corner }, i) => {
    const [state] = now[i], { box, score } = detections[i];
    update();
    play.set(body, {
      "stroke-width": state === "kept" ? 3.5 : 1.3, "stroke-dasharray": state === "dropped" ? "4 4" : "none",
      "stroke-opacity": state === "dropped" ? 0.5 : 1, "fill-opacity": i === current ? 0.25 : 0.04,
    });
    play.set(corner, { "fill-opacity": state === "dropped" ? 0.25 : 0.9, r: 6 });
    if (state !== "dropped")
      labels.append(play.svg("text", { x: box[0] + 3, y: box[1] + 13 }, `${letter(i)} ${score.toFixed(2)}`));
  });
  tell(steps, done);
  play.find("rows").replaceChildren(...minidet.by_score(pick("score")).map(i => play.html("tr", {},
    ...[letter(i), detections[i].name, detections[i].score.toFixed(2), now[i].join(" ")].map(text => play.html("td", {}, text)))));
}

function tell(steps, done) {
  const kept = steps.map(step => letter(step.kept)).join(", ");
  if (!done) { play.find("told").textContent = "Nothing is decided yet. The best score goes first."; return; }
  const { kept: best, dropped } = steps[done - 1];
  play.find("told").textContent = `${letter(best)} has the best score that is left and is kept; it drops `
    + (dropped.length ? dropped.map(({ index, iou }) => `${letter(index)} (IoU ${iou.toFixed(2)})`).join(", ") : "nothing") + "."
    + (done === steps.length ? ` Nothing is left: kept are ${kept}.` : "");
}

read();
