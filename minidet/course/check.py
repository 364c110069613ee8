"""What a function is graded by: inputs from small to large, the reference's answer, and hints.

An exercise is a function of the reference with checks. A check has a few inputs, always the same ones; the function
must do on all of them as the reference does, and the first on which it does not is shown. `judging` runs the checks and
`diagnosis` chooses the hint.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

Function = Callable[..., Any]
Rng = np.random.Generator

VARIED: dict[str, tuple[float, ...]] = {
    "gamma": (1.5, 3.0, 1.0, 2.5), "alpha": (0.3, 0.4, 0.75), "beta": (0.5, 2.0, 1.5), "iou_threshold": (0.6, 0.4),
    "positive_iou": (0.6, 0.55), "negative_iou": (0.3, 0.35),
}  # fmt: skip
"""What variants 1, 2, … have as default arguments in place of the paper's; variant 0 is the paper."""
OTHER_INPUTS = "other inputs"
"""The name of the check whose inputs depend on the seed."""


@dataclass(frozen=True)
class Case:
    """One call."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def case(*args: Any, **kwargs: Any) -> Case:
    return Case(args, kwargs)


@dataclass(frozen=True, eq=False)
class Check:
    """One property of a function."""

    name: str
    """What is looked at, in a few words."""
    hint: str
    """The rule, for when the check fails and no known mistake fits; it accuses nobody."""
    cases: Callable[[Rng], Iterable[Case]]
    """The inputs, smallest first. The generator is the same for everybody."""
    compares: str = "values"
    """"values"; "type": the class and dtype of the result, then its values to four digits; "input": that the arguments
    are left as they were."""
    essential: bool = False
    """Without it, the function earns nothing."""
    defaults: bool = False
    """Whether the function's own default arguments are looked at; in all other checks they are given."""
    extreme: bool = False
    """Whether the inputs are such that formulas which are right on paper lose their digits."""
    apart: bool = False
    """Whether such inputs are often treated apart: no rows, boxes of no area, a parameter of 0."""

    @property
    def special(self) -> bool:
        """Whether a known mistake may be careless here, since the submission may have its own way with such inputs."""
        return self.extreme or self.apart


@dataclass(frozen=True, eq=False)
class Mistake:
    """A known wrong solution, for its hint."""

    hint: str
    function: Function


@dataclass(frozen=True, eq=False)
class Exercise:
    """A function to write."""

    reference: Function
    points: float
    checks: tuple[Check, ...]
    mistakes: tuple[Mistake, ...] = ()
    example: str = ""
    """A call to try in the notebook, as source, where the module is called `my`."""
    rtol: float = 1e-9
    """Largest relative error of a float64 result; that of a float32 result is 1e-4."""
    atol: float = 1e-9
    """Largest absolute error, for numbers such as coordinates that come from differences; 0 for losses."""
    sample: Callable[[Rng], Case] | None = None
    """An ordinary input, for the check of other inputs."""
    order: str = ""
    """In which order the result is expected, where that is a question."""
    doc: str = ""
    """The docstring of the stub, where the reference's own would give the solution away."""
    note: str = ""
    """What the stub's docstring says besides."""
    subject: Exercise | None = None
    """Where tests are to be written: the exercise whose function they test."""
    rows: tuple[tuple[int, ...], ...] = ()
    """Groups of arguments that have a row for each thing: a failing input is made smaller by leaving rows out."""

    @property
    def name(self) -> str:
        return self.reference.__name__

    @cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.reference)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        return self.signature.parameters

    def defaults(self, variant: int) -> dict[str, float]:
        """The default arguments that a variant may change, with its values; those of variant 0 are the paper's."""
        own = {name: one.default for name, one in self.parameters.items() if isinstance(one.default, float)}
        return {name: variant_defaults(variant).get(name, value) for name, value in own.items() if name in VARIED}

    def with_defaults(self, variant: int) -> Function:
        """The reference with a variant's default arguments."""
        return self.filled(self.reference, variant)

    def filled(self, function: Function, variant: int) -> Function:
        """A function that is called with the reference's arguments, with a variant's default arguments."""
        own, signature = self.defaults(variant), self.signature

        def call(*args: Any, **kwargs: Any) -> Any:
            given = {**own, **signature.bind(*args, **kwargs).arguments}
            last = max([i for i, name in enumerate(signature.parameters) if name in given], default=-1)
            names = list(signature.parameters)[: last + 1]
            return function(*(given.get(name, signature.parameters[name].default) for name in names))

        return call if own else function

    def explicit(self, one: Case) -> Case:
        """The same call with the paper's default arguments given, so that it means the same in every variant."""
        given = self.signature.bind(*one.args, **one.kwargs).arguments
        missing = {name: value for name, value in self.defaults(0).items() if name not in given}
        args, rest = list(one.args), {**one.kwargs, **missing}
        for name in list(self.parameters)[len(args) :]:
            if name not in rest:
                break
            args.append(rest.pop(name))
        return Case(tuple(args), rest)


@dataclass(frozen=True)
class Outcome:
    """What a call returned, or raised."""

    value: Any = None
    error: str = ""
    """What was raised, in words; "" where something was returned."""
    kind: str = ""
    """The class of the error; "TooSlow"; "Lost" where the process ended or did not answer."""
    line: int = 0
    """Where in the submission it was raised; 0: not known."""
    source: str = ""
    """That line."""
    after: Any = None
    """The arguments after the call, where they are asked for."""

    @property
    def final(self) -> bool:
        """Whether it is not worth the time to try the function's other checks."""
        return self.kind in ("TooSlow", "Lost")


@dataclass(frozen=True)
class Failure:
    """Why a check failed, as text."""

    call: str
    expected: str
    got: str
    hint: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def variant_defaults(variant: int) -> dict[str, float]:
    """The default arguments of a variant of an assignment, by name; none for variant 0."""
    return {name: values[(variant - 1) % len(values)] for name, values in VARIED.items()} if variant else {}
