// The page about the focal loss: three curves, and the sums over many easy and a few hard examples.
"use strict";

const X = Array.from({ length: 241 }, (_, i) => -6 + i / 20);
const CURVES = {
  value: ["loss", minidet.focal_loss, minidet.cross_entropy, [0, 6], [0, 2, 4, 6]],
  gradient: ["d loss / dx", minidet.focal_loss_grad, minidet.cross_entropy_grad, [-1.5, 0], [-1.5, -1, -0.5, 0]],
  curvature: ["d² loss / dx²", minidet.focal_loss_hess, minidet.cross_entropy_hess, [-0.2, 0.6], [-0.2, 0, 0.2, 0.4, 0.6]],
};

const plots = Object.fromEntries(Object.entries(CURVES).map(([id, [ylabel, , , y, yticks]]) => [id, play.plot(play.find(id), {
  x: [-6, 6], y, xticks: [-6, -3, 0, 3, 6], yticks, ylabel, xlabel: "x, the logit of an object", width: 330, height: 230,
  label: `${ylabel} of the focal loss and of the cross entropy over the logit`,
})]));

const percent = value => `${+(100 * value).toPrecision(4)} %`;
const certainty = nines => 1 - 10 ** -nines;

const { read } = play.controls(["gamma", "alpha", "balanced", "at", "many", "sure", "few", "missed"], draw, {
  gamma: v => v.toFixed(1), alpha: v => v.toFixed(2), at: v => `${v.toFixed(1)}, so p = ${minidet.sigmoid(v).toFixed(3)}`,
  many: v => Math.round(10 ** v).toLocaleString("en"), sure: v => percent(certainty(v)), missed: v => v.toFixed(2),
});

function draw(chosen) {
  const alpha = chosen.balanced ? chosen.alpha : null;
  play.find("alpha").disabled = !chosen.balanced;
  curves(chosen, alpha);
  shares(chosen, alpha);
}

function curves({ gamma, at }, alpha) {
  const told = [];
  for (const [id, [name, focal, cross]] of Object.entries(CURVES)) {
    const plot = plots[id];
    plot.clear();
    plot.line(X.map(x => [x, cross(x, 1)]), "var(--grey)", { "stroke-dasharray": "5 3" });
    plot.line(X.map(x => [x, focal(x, 1, gamma, alpha)]), "var(--pink)");
    for (const [value, colour] of [[cross(at, 1), "var(--grey)"], [focal(at, 1, gamma, alpha), "var(--pink)"]])
      plot.add(play.svg("circle", { cx: plot.px(at), cy: plot.py(value), r: 5, fill: colour }));
    told.push(`${name} ${focal(at, 1, gamma, alpha).toPrecision(3)} (cross entropy ${cross(at, 1).toPrecision(3)})`);
  }
  const lower = minidet.cross_entropy(at, 1) / minidet.focal_loss(at, 1, gamma, alpha);
  play.find("reading").textContent = `At p = ${minidet.sigmoid(at).toFixed(3)}: ${told.join("; ")}. `
    + (Number.isFinite(lower) ? `The focal loss is ${+lower.toPrecision(3)} times lower.` : "");
}

function shares({ gamma, many, sure, few, missed }, alpha) {
  const background = Math.round(10 ** many), x0 = minidet.logit(1 - certainty(sure)), x1 = minidet.logit(missed);
  const rows = [
    ["cross entropy, loss", x => minidet.cross_entropy(x, 0), x => minidet.cross_entropy(x, 1)],
    ["cross entropy, gradient", x => minidet.cross_entropy_grad(x, 0), x => -minidet.cross_entropy_grad(x, 1)],
    ["focal loss, loss", x => minidet.focal_loss(x, 0, gamma, alpha), x => minidet.focal_loss(x, 1, gamma, alpha)],
    ["focal loss, gradient", x => minidet.focal_loss_grad(x, 0, gamma, alpha),
      x => -minidet.focal_loss_grad(x, 1, gamma, alpha)],
  ];
  play.find("shares").replaceChildren(...rows.flatMap(([name, of_background, of_object]) => {
    const easy = background * of_background(x0), hard = few * of_object(x1), part = easy + hard ? easy / (easy + hard) : 0;
    const ratio = easy >= hard ? `${number(easy / hard)} to 1` : `1 to ${number(hard / easy)}`;
    const bar = play.html("div", { class: "bar", "aria-hidden": "true" });
    for (const [colour, width] of [["--grey", part], ["--orange", 1 - part]])
      bar.append(play.html("i", { style: `background: var(${colour}); width: ${100 * width}%` }));
    return [play.html("p", {}, `${name}: background to objects ${ratio}`), bar];
  }));
}

const number = value => Number.isFinite(value) ? (+value.toPrecision(3)).toLocaleString("en") : "∞";

read();
