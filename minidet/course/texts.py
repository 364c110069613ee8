"""What the notebooks tell and draw."""

STORIES = {
    "a1": r"""
A detector like RetinaNet looks at an image through a hundred thousand fixed boxes, the **anchors**, and says of each
what is in it and how it should move. Here you write the arithmetic of boxes.

A box is $(x_1, y_1, x_2, y_2)$ in pixels, in continuous coordinates: its width is $x_2 - x_1$, without $+1$. How well
two boxes agree is their intersection over union, $\mathrm{IoU} = |A \cap B| / |A \cup B|$. A box is written relative
to an anchor with centre $(x_a, y_a)$, width $w_a$ and height $h_a$ as

$$t_x = \frac{x - x_a}{w_a}, \quad t_y = \frac{y - y_a}{h_a}, \quad t_w = \log\frac{w}{w_a}, \quad t_h =
\log\frac{h}{h_a}.$$
""",
    "a2": r"""
Before a detector can learn, each anchor must know what it answers for: with $\mathrm{IoU} \ge
{positive_iou}$ for the object that it overlaps most, below ${negative_iou}$ for the background, and in between for
nothing. After it has learnt, several
anchors find the same object, and **non-maximum suppression** keeps the best of them.

The module comes with a finished `box_iou`.
""",
    "a3": r"""
The paper's idea is one factor. With $p_t$ the probability that the network gives to the truth,

$$\mathrm{CE} = -\log p_t, \qquad \mathrm{FL} = -\alpha_t\,(1 - p_t)^\gamma \log p_t, \qquad \mathrm{FL}^* =
-\frac{\log \sigma(\gamma x_t + \beta)}{\gamma},$$

where $x_t = x$ for an object and $-x$ for background, and $p_t = \sigma(x_t)$. Each loss has its gradient beside it,
with respect to the logit $x$: derive it on paper first. Two facts are all that it takes: $\frac{d}{dx_t} \sigma(x_t) =
p_t (1 - p_t)$, and $dx_t / dx$ is $1$ for an object and $-1$ for background. Differences of losses look right for a
while and are not: where a loss is large they have no digits left.

Be careful with confident examples: $1 - p_t$ computed from a $p_t$ near 1 has no digits left. Written with $u = -x_t$
nothing cancels: $-\log p_t = \max(u, 0) + \log(1 + e^{-|u|})$ and $1 - p_t = \sigma(u)$.
""",
    "a4": r"""
A network gives thousands of scored boxes; a detector gives a handful, and somebody has to say how good they are.
`postprocess` does the first: threshold, the best of each level, decode, clip, suppress class by class. The other
three functions do the second: which detections are right, how precision and recall go as the score falls, and the
area under that curve,

$$\mathrm{AP} = \frac{1}{101} \sum_{r \in \{0, 0.01, \ldots, 1\}} \max_{\tilde r \ge r} p(\tilde r).$$

The module comes with finished `box_iou`, `decode_boxes`, `clip_boxes` and `batched_nms`.
""",
    "a5": r"""
Nearly all of an image's hundred thousand anchors are easy background. There are two answers: choose the hard ones
(online hard example mining, `ohem_sample`), or keep all and let the loss weigh them (`dense_focal_loss`):

$$L = \frac{1}{\max(1, N_{pos})} \sum_{\text{anchors not ignored}}\ \sum_{\text{classes}} \mathrm{FL}.$$

The second runs over every anchor and class in every step of training, so it must be fast: its speed is graded, as a
ratio to the reference's. A Python loop over anchors is not.

The module comes with finished `nms`, `focal_loss` and `focal_loss_grad`.
""",
    "a6": r"""
A function that runs is not a function that is right. Here you write no functions but **tests** for five of them: each
test is given a function and raises an `AssertionError` where that does what it should not. It is run with a right
function, which must pass, and with a dozen wrong ones, each with a mistake that people make: `>` for `>=`, a forgotten
class, the wrong end of an argsort. The points are the share of them that your test finds.

Small inputs whose answer you know without a computer find most mistakes: one box, two equal ones, two that touch, an
IoU equal to the threshold, two equal scores. `np.testing.assert_array_equal` and `np.testing.assert_allclose` compare.
A test must not ask for more than what the function promises.
""",
    "a7": r"""
A network is trained backwards: the gradient of the loss is known at its end, and every layer hands it on, from its
output $y$ to its input $x$. That is the chain rule,

$$\frac{\partial L}{\partial x_j} = \sum_i \frac{\partial L}{\partial y_i}\,\frac{\partial y_i}{\partial x_j},$$

read from the input: each $x_j$ collects from all the $y_i$ that it went into, times the factor with which it did. Here
you write four layers of the detector and the gradient of each; `grad` is $\partial L / \partial y$. A convolution is

$$y_{b,o,i,j} = \mathrm{bias}_o + \sum_{c,u,v} w_{o,c,u,v}\; x_{b,\,c,\;s i + u - p,\;s j + v - p}$$

with stride $s$ and padding $p$, and $x = 0$ outside the map. Loops over places are good enough: nothing is timed here.

Whatever you derive, differences tell whether it is right: for a random direction $d$ and a small $h$,
$\left(L(x + h d) - L(x - h d)\right) / 2h$ should be the scalar product of $d$ with your gradient.
""",
}  # fmt: skip

PICTURE_OF_TESTS = """\
import minidet.reference
from minidet.course.assignments import load
from minidet.course.mutants import functions_under_test

found = {}
for exercise in load("a6").exercises:
    functions, caught = functions_under_test(exercise.subject), 0
    for name, function in functions.items():
        try:
            getattr(my, exercise.name)(function)
        except NotImplementedError:
            raise
        except Exception:
            caught += name != exercise.subject.name
    found[exercise.subject.name] = caught / (len(functions) - 1)
figure, axes = plt.subplots(figsize=(6, 3))
axes.barh(list(found), list(found.values()))
axes.set(xlim=(0, 1), xlabel="share of the wrong functions that your tests find", title="what your tests find")
axes.invert_yaxis()"""

NOTES = {
    "a7": """\
Notation. A layer turns x into y, and the loss is a number that depends on y. A gradient function takes
grad = d loss / d y, of the shape of y, and returns d loss / d (each input), of the input's shape; it takes the other
arguments as the layer got them. Maps are (B, C, H, W): image, channel, row, column. Results have the floating type of
the maps.""",
    "a6": """\
Each function here is a test: it gets a function and raises an AssertionError where that is wrong.""",
    "a3": """\
Notation. A target is 1 (object) or 0 (background, the paper's y = -1). x_t is the logit x for an object and -x for
background (equation 6), p_t = sigmoid(x_t) (equation 2), and alpha_t is alpha for an object, 1 - alpha for background
(section 3.1). Results have the shape and floating type of the logits.

`1 - p` computed from a p near 1 has lost all its digits. Written with u = -x_t nothing cancels: -log p_t =
max(u, 0) + log(1 + exp(-|u|)), and 1 - p_t = sigmoid(u).""",
}
"""What a module says at its beginning; by default what the reference's modules say."""

PICTURES = {
    "a1": """\
figure, axes = plt.subplots(figsize=(5, 5))
for x1, y1, x2, y2 in my.cell_anchors(32, scales=[1, 2 ** (1 / 3), 2 ** (2 / 3)], aspect_ratios=[0.5, 1, 2]):
    axes.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False))
axes.plot(0, 0, "k+")
axes.set(xlim=(-45, 45), ylim=(45, -45), aspect="equal", xlabel="x (pixels)", ylabel="y (pixels)",
    title="the nine anchors of a cell")""",
    "a2": """\
xs, ys = np.meshgrid(np.arange(8, 128, 8.0), np.arange(8, 96, 8.0))
anchors = np.stack([xs - 16, ys - 16, xs + 16, ys + 16], axis=-1).reshape(-1, 4)
objects = np.array([[20.0, 20, 52, 56], [70, 30, 105, 66]])
assigned = my.assign_anchors(anchors, objects)
figure, axes = plt.subplots(figsize=(7, 5))
for label, name, colour in ((-1, "background", "0.8"), (-2, "ignored", "#e69f00"), (0, "first object", "#0072b2"),
    (1, "second object", "#009e73")):
    chosen = assigned == label
    axes.scatter(xs.ravel()[chosen], ys.ravel()[chosen], color=colour, label=name)
for x1, y1, x2, y2 in objects:
    axes.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False))
axes.set(aspect="equal", ylim=(100, 0), xlabel="x (pixels)", ylabel="y (pixels)",
    title="what each anchor of 32 x 32 pixels answers for")
axes.legend(loc="lower center", bbox_to_anchor=(0.5, -0.28), ncols=4)""",
    "a3": """\
from minidet.plotting import GAMMA_COLOURS

p = np.linspace(0.001, 0.999, 400)
logits = np.log(p / (1 - p))
figure, axes = plt.subplots(figsize=(6, 4.5))
for gamma in (0, 0.5, 1, 2, 5):
    axes.plot(p, my.focal_loss(logits, np.ones(400), gamma, None), color=GAMMA_COLOURS[gamma],
        label=f"gamma = {gamma:g}")
axes.set(xlabel="probability of the truth, p_t", ylabel="loss", ylim=(0, 5),
    title="Figure 1 of the paper, by your focal_loss")
axes.legend()""",
    "a4": """\
rng = np.random.default_rng(0)
scores = rng.random(40)
precision, recall = my.precision_recall(rng.random(40) < scores, scores, num_gt=30)
envelope = np.maximum.accumulate(precision[::-1])[::-1]
figure, axes = plt.subplots(figsize=(6, 4.5))
axes.plot(recall, precision, ".-", label="precision")
axes.step(np.append(0, recall), np.append(envelope[:1], envelope), where="pre", label="envelope")
axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.05),
    title=f"AP = {my.average_precision(precision, recall):.3f}")
axes.legend(loc="lower left")""",
    "a5": """\
import time

rng = np.random.default_rng(0)
sizes, seconds = (100, 300, 1000, 3000, 10000), []
for n in sizes:
    logits, labels = rng.normal(-3, 1.5, (n, 20)), rng.choice([-1, 3], n, p=[0.98, 0.02])
    begin = time.perf_counter()
    my.dense_focal_loss(logits, labels)
    seconds.append(time.perf_counter() - begin)
figure, axes = plt.subplots(figsize=(6, 4.5))
axes.loglog(sizes, seconds, "o-")
axes.set(xlabel="anchors, of 20 classes each", ylabel="seconds", title="time of your dense_focal_loss")""",
    "a6": PICTURE_OF_TESTS,
    "a7": """\
rng = np.random.default_rng(0)
x, weight, grad = rng.normal(size=(2, 3, 8, 8)), rng.normal(size=(4, 3, 3, 3)), rng.normal(size=(2, 4, 4, 4))
direction, steps = rng.normal(size=x.shape), np.logspace(-1, -8, 30)
exact = (my.conv2d_grad(grad, x, weight, stride=2, padding=1)[0] * direction).sum()
errors = []
for h in steps:
    up, down = (my.conv2d(x + side * direction, weight, stride=2, padding=1) for side in (h, -h))
    errors.append(abs(((up - down) * grad).sum() / (2 * h) - exact) / abs(exact))
figure, axes = plt.subplots(figsize=(6, 4.5))
axes.loglog(steps, errors, "o-")
axes.set(xlabel="step of the difference", ylabel="relative difference",
    title="your gradient of a convolution beside differences")""",
}  # fmt: skip
