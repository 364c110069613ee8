"""The exercises: the reference earns everything, right work keeps its points, wrong work does not get them."""

from __future__ import annotations

import ast
import inspect

import numpy as np
import pytest

from minidet.course import assignments, stubs
from minidet.course.check import OTHER_INPUTS, Case, variant_defaults
from minidet.course.compare import difference, show, show_both
from minidet.course.judging import answers, checks_of, local, passes, run_check
from tests.course import mistakes, more_mistakes
from tests.course.helpers import graded, load, module_of, solution, stub

pytestmark = pytest.mark.slow

EXERCISES = [e for name in assignments.NAMES for e in load(name).exercises if not e.subject]
NAMES = assignments.NAMES


@pytest.mark.parametrize(("variant", "seed"), [(0, 0), (0, 7), (1, 1), (2, 2)])
@pytest.mark.parametrize("name", NAMES)
def test_the_reference_earns_everything(name, variant, seed):
    """As one file made from the reference, with other inputs and default arguments too."""
    rows = graded(name, solution(name, variant), seed=seed, variant=variant)
    assert {row.name: row.failed for row in rows.values() if row.share < 1} == {}


@pytest.mark.parametrize("name", NAMES)
def test_an_untouched_stub_earns_nothing(name):
    rows = graded(name, stub(name))
    assert [row.share for row in rows.values()] == [0] * len(rows)
    assert {row.remark for row in rows.values()} == {"not written yet"}


@pytest.mark.parametrize("name", NAMES)
def test_the_papers_solution_loses_the_default_arguments_of_a_variant_alone(name):
    rows = graded(name, solution(name), variant=1)
    assert {one for row in rows.values() for one in row.failed} <= {"default arguments"}
    assert bool(any(row.failed for row in rows.values())) == (name not in ("a1", "a6", "a7"))


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_what_decides_is_the_same_for_every_seed(exercise):
    """Fixed inputs for all checks; the one whose inputs depend on the seed asks only whether a function computes."""
    for check in exercise.checks:
        first, second = (list(check.cases(np.random.default_rng(0))) for _ in range(2))
        shown = ([show(one.args, 10**6, 17) for one in cases] for cases in (first, second))
        assert len({tuple(texts) for texts in shown}) == 1
    assert exercise.sample is not None
    assert any(check.essential for check in exercise.checks)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_floating_arguments_are_floating(exercise):
    """No array of whole numbers is given where a docstring says floating, so that a result in its type is right."""
    whole = {"targets", "labels", "classes", "correct", "positives"}
    calls = [one for check in exercise.checks for one, _ in answers(exercise, check, 0)]
    calls += [exercise.sample(np.random.default_rng(seed)) for seed in range(3)]
    for one in calls:
        for name, value in zip(exercise.parameters, one.args, strict=False):
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, np.ndarray) and (exercise.name.startswith("smooth") or name not in whole):
                    assert part.dtype.kind == "f", f"{exercise.name}: {name}"


def test_a_result_in_the_type_of_the_logits_keeps_its_points():
    rows = graded("a3", solution("a3") + """
def focal_loss(logits, targets, gamma=2.0, alpha=0.25):
    u = np.where(targets == 1, -logits, logits).astype(float)
    w = 1.0 if alpha is None else np.where(targets == 1, alpha, 1 - alpha)
    return (w * np.exp(-gamma * np.logaddexp(0, -u)) * np.logaddexp(0, u)).astype(logits.dtype)
""", only="focal_loss")  # fmt: skip
    assert rows["focal_loss"].share == 1
    rows = graded("a5", solution("a5") + """
def dense_focal_loss(logits, labels, gamma=2.0, alpha=0.25):
    t = (labels[:, None] == np.arange(logits.shape[1])).astype(float)
    use, n = labels != -2, max(1, int((labels >= 0).sum()))
    grad = np.zeros_like(logits)
    grad[use] = focal_loss_grad(logits[use], t[use], gamma, alpha) / n
    return focal_loss(logits[use], t[use], gamma, alpha).sum() / n, grad
""", only="dense_focal_loss")  # fmt: skip
    assert rows["dense_focal_loss"].share == 1


def test_numpys_own_errors_in_a_right_module_cost_nothing():
    before = np.geterr()
    try:
        rows = graded(
            "a3", "import numpy as np\nnp.seterr(all='raise')\n" + solution("a3").replace("from __future__", "#")
        )
    finally:
        np.seterr(**before)
    assert {row.share for row in rows.values()} == {1}


def test_a_branch_that_is_missing_costs_its_checks_only():
    rows = graded("a4", solution("a4") + """
_ap = average_precision
def average_precision(precision, recall, points=101):
    if points is None:
        raise NotImplementedError
    return _ap(precision, recall, points)
""", only="average_precision")  # fmt: skip
    assert rows["average_precision"].remark == ""
    assert 0.5 < rows["average_precision"].share < 1


LATER = """
def cross_entropy(logits, targets, alpha=None):
    return focal_loss(logits, targets, 0.0, alpha)
"""


def test_a_function_that_calls_a_later_one_does_not_pay_for_it():
    wrong = """
_f = focal_loss
def focal_loss(logits, targets, gamma=2.0, alpha=0.25):
    return 2 * _f(logits, targets, gamma, alpha)
"""
    rows = graded("a3", solution("a3") + LATER + wrong)
    assert [name for name, row in rows.items() if row.share < 1] == ["focal_loss"]


def test_a_call_of_a_function_that_is_not_written_earns_nothing():
    """Otherwise a special case could be handed in as a call of the general one, which the grader would put there."""
    rows = graded("a3", stub("a3") + LATER)
    assert {row.share for row in rows.values()} == {0}


def test_functions_that_call_each_other_earn_nothing():
    rows = graded("a2", stub("a2") + """
def nms(boxes, scores, iou_threshold=0.5):
    return batched_nms(boxes, scores, np.zeros(len(boxes), int), iou_threshold)
def batched_nms(boxes, scores, classes, iou_threshold=0.5):
    return nms(boxes, scores, iou_threshold)
""")  # fmt: skip
    assert {row.share for row in rows.values()} == {0}


def test_a_failing_function_is_replaced_for_those_that_call_it():
    rows = graded("a2", solution("a2") + "def nms(boxes, scores, iou_threshold=0.5):\n    return np.zeros(0)\n")
    assert (rows["nms"].share, rows["batched_nms"].share) == (0, 1)


def test_float32_results_are_compared_by_value():
    for body in ("np.full(len(b), -7, np.float32)", "np.full(len(b), np.nan, np.float32)"):
        rows = graded("a1", solution("a1") + f"""
_a = box_area
def box_area(boxes):
    b = np.asarray(boxes)
    return {body} if b.dtype == np.float32 else _a(b)
""", only="box_area")  # fmt: skip
        assert list(rows["box_area"].failed) == ["type of the result"]


@pytest.mark.parametrize("step", [1e-3, 1e-5, 1e-7])
def test_difference_quotients_do_not_pass_for_gradients(step):
    rows = graded("a3", solution("a3") + f"""
def _num(f, x, h={step}):
    t = np.asarray(x).dtype; x = np.asarray(x, float)
    return ((8 * (f(x + h) - f(x - h)) - f(x + 2 * h) + f(x - 2 * h)) / (12 * h)).astype(t)
def cross_entropy_grad(logits, targets, alpha=None):
    return _num(lambda z: cross_entropy(z, targets, alpha), logits)
def focal_loss_grad(logits, targets, gamma=2.0, alpha=0.25):
    return _num(lambda z: focal_loss(z, targets, gamma, alpha), logits)
def focal_loss_star_grad(logits, targets, gamma=2.0, beta=1.0, alpha=None):
    return _num(lambda z: focal_loss_star(z, targets, gamma, beta, alpha), logits)
""")  # fmt: skip
    wrong = [name for name, row in rows.items() if row.share < 1]
    assert wrong == ["cross_entropy_grad", "focal_loss_grad", "focal_loss_star_grad"]


def test_a_table_of_answers_earns_nothing_with_another_seed():
    exercise = load("a2").exercise("nms")
    table = {
        tuple(np.asarray(part).tobytes() for part in exercise.explicit(one).args): expected
        for check in exercise.checks
        for one, expected in answers(exercise, check, 0)
    }

    def remembered(boxes, scores, iou_threshold=0.5):
        key = tuple(np.asarray(part).tobytes() for part in (boxes, scores, iou_threshold))
        return table[key].copy() if key in table else np.arange(len(boxes))

    failed = [
        check.name
        for check in checks_of(exercise, seed=11)
        if not passes(check, list(run_check(exercise, check, local(remembered))))
    ]
    assert failed == [OTHER_INPUTS]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "a6"])
@pytest.mark.parametrize("variant", [0, 2])
def test_stubs_are_the_reference_without_its_bodies(name, variant):
    """Signatures, of the variant, and docstrings; of the bodies only the lines that check arguments."""
    source = stubs.stub_source(load(name), variant)
    bodies = {node.name: node.body for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    space: dict = {}
    exec(source, space)
    for exercise in load(name).exercises:
        *door, last = bodies[exercise.name][1:]
        assert ast.unparse(last) == "raise NotImplementedError"
        assert all("checks." in ast.unparse(statement) for statement in door)
        arguments = inspect.signature(space[exercise.name]).parameters
        assert list(arguments) == list(exercise.parameters)
        for argument in arguments.values():
            usual = exercise.parameters[argument.name].default
            changed = variant_defaults(variant).get(argument.name, usual) if isinstance(usual, float) else usual
            assert argument.default == changed
        doc = space[exercise.name].__doc__
        assert exercise.note[:40] in " ".join(doc.split())
        if not variant and not exercise.note:
            assert doc.split() == (exercise.doc or exercise.reference.__doc__).split()


def test_what_is_to_be_derived_is_not_given():
    text = stub("a3") + load("a3").story
    for formula in ("p_t - 1)", "gamma p L", "(1 - p*_t) du/dx", "sign of d", "p_t\\, \\log p_t"):
        assert formula not in text


@pytest.mark.parametrize(
    ("expected", "got", "said"),
    [
        (np.zeros(3), np.zeros((3, 1)), "shape (3, 1) where (3,) is expected"),
        (np.zeros(3), None, "nothing was returned"),
        (np.zeros(3), "text", "str, not an array of numbers"),
        (np.zeros(2), [[1, 2], [3]], "list of list of int, not an array of numbers"),
        (np.array([1, 2, 3]), np.array([1, 5, 6]), "2 of 3 wrong, first [1]"),
        ((np.zeros(1), np.zeros(2)), (np.zeros(1),), "1 things where 2 are expected"),
        ([np.zeros(1)], np.zeros(1), "float64 array where 1 things are expected"),
        (np.array([1.0]), np.array([np.nan]), "1 of 1 wrong, first [0]"),
        (np.array([1.0, 2]), [1.0, 2], ""),
        (np.float32(1), 1 + 1e-7, ""),
    ],
)
def test_a_difference_in_words(expected, got, said):
    assert difference(expected, got, 1e-9, 0) == said


def test_values_are_shown_in_short():
    assert show(np.zeros((0, 4))) == "an empty array of shape (0, 4)"
    assert show(np.arange(3)) == "[0, 1, 2]"
    assert len(show(np.random.default_rng(0).random((100, 100)))) <= 240
    assert show((np.arange(2), 1.5)) == "([0, 1], 1.5)"


def test_as_many_digits_as_it_takes():
    assert show_both(np.array([1.0]), np.array([1 + 1e-8])) == ("[1.]", "[1.00000001]")
    one = np.random.default_rng(0).random((30, 4))
    other = one.copy()
    other[20, 1] = 2
    shown = show_both(one, other)
    assert "at [20, 1]" in shown[1]
    assert "2.0" in shown[1]


def test_points_files(tmp_path):
    file = tmp_path / "points.toml"
    file.write_text(assignments.points_file(), encoding="utf-8")
    for name in NAMES:
        points = assignments.read_points(file, load(name))
        assert (points.points, points.partial) == (load(name).rows, True)
        assert sum(points.points.values()) == 100
    file.write_text("partial = false\n[a3]\nfocal_loss = 90\n", encoding="utf-8")
    points = assignments.read_points(file, load("a3"))
    assert (points.points["focal_loss"], points.points["smooth_l1"], points.partial) == (90, 10, False)
    for text, message in (
        ("[a3]\nnms = 1", "a3 has no nms"), ("[a3]\nfocal_loss = -1", "points of focal_loss"), ("a3 =", "points.toml"),
        ("[A3]\nfocal_loss = 1", "A3 is not known"), ("partal = false", "partal is not known"),
    ):  # fmt: skip
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            assignments.read_points(file, load("a3"))


def test_unknown_names():
    with pytest.raises(ValueError, match="no assignment 'a9'"):
        assignments.load("a9")


@pytest.mark.parametrize(("ratio", "share"), [(0.2, 1), (1.5, 1), (1.6, 0.6), (3, 0.6), (9, 0.3), (11, 0), (1e6, 0)])
def test_speed_is_a_share_of_the_points(ratio, share):
    assert assignments.speed_share(ratio) == share


def test_explicit_defaults_are_those_of_the_paper():
    one = load("a2").exercise("assign_anchors").explicit(Case((1, 2)))
    assert one.args == (1, 2, 0.5, 0.4)
    assert load("a3").exercise("cross_entropy").explicit(Case((1, 2))).args == (1, 2)


@pytest.mark.parametrize(
    ("name", "function", "mistake"),
    [("a3", "focal_loss", "one weight for both"), ("a4", "match_detections", "takes below the threshold")],
)
def test_a_mistake_that_nearly_always_shows_computes_all_the_same(name, function, mistake):
    """So that the check of other inputs, without which a function earns nothing, does not hang on the seed."""
    known = [*mistakes.MISTAKES, *more_mistakes.MISTAKES]
    source = next(one.source for one in known if (one.function, one.name) == (function, mistake))
    wrong = local(getattr(module_of(solution(name) + source), function))
    exercise = load(name).exercise(function)
    for seed in range(8):
        other = checks_of(exercise, seed)[-1]
        assert passes(other, list(run_check(exercise, other, wrong)))
