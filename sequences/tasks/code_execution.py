"""Code execution: programs whose printed values are asked where they are printed.

    x = 3 ; if x > 2 : x ++ ; print x ;
    _ _ _ _ _  _ _ _ _ _  _  _     _ 4

The first statement is an assignment, the last a print. The kind of a statement is drawn uniformly
from assignment, change by one, print and conditional; a conditional holds one of the others. An
answer counts at every token and is blank except at the `;` that ends a print that is executed.

Source: the 2021 code, `algorithmic/utils/data_generator.py` of
https://github.com/IDSIA/recurrent-fwp, after the description of Fan et al. 2020
(https://arxiv.org/abs/2002.09402). There, an assignment within a conditional that holds changes a
variable only where it had no value before, which the text of the program does not say; `labels:
legacy` reproduces that.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from sequences.tasks.base import Example, Task, TaskSpec, from_seed, uniforms

VARIABLES = ("x", "y", "z", "a", "b", "c", "d", "e", "f", "g")
WORDS = ("=", "++", "--", "print", "if", "<", ">", ":", ";")
CONSTANTS = tuple(str(value) for value in range(10))
LOWEST, HIGHEST = -8, 16
BLANK = "_"
ANSWERS = (BLANK, *(str(value) for value in range(LOWEST, HIGHEST + 1)))
KINDS = ("assign", "change", "print", "if")
Labels = Literal["correct", "legacy"]
MAX_STATEMENTS = 10_000

Option = TypeVar("Option")


@dataclass(frozen=True, kw_only=True)
class CodeExecutionSettings:
    """Size of the programs.

    Args:
        num_statements: statements of a program, >= 2; 100 in the paper.
        num_variables: 1 to 10 names; 3 or 5 in the paper.
        labels: "correct", or "legacy" for the published data's, fault included.
    """

    num_statements: int = 25
    num_variables: int = 3
    labels: Labels = "correct"

    def __post_init__(self) -> None:
        if not 2 <= self.num_statements <= MAX_STATEMENTS:
            raise ValueError(
                f"num_statements must be in 2 to {MAX_STATEMENTS}, got {self.num_statements}"
            )
        if not 1 <= self.num_variables <= len(VARIABLES):
            raise ValueError(
                f"num_variables must be in 1 to {len(VARIABLES)}, got {self.num_variables}"
            )
        if self.labels not in ("correct", "legacy"):
            raise ValueError(f"labels must be correct or legacy, got {self.labels!r}")


class ProgramDraw:
    """Draws one program into `text`, executing it on the way into `answers`."""

    def __init__(self, settings: CodeExecutionSettings, rng: np.random.Generator) -> None:
        self.text: list[str] = []
        self.answers: list[str] = []
        self._settings = settings
        self._uniforms = uniforms(rng)
        self._values: dict[str, int] = {}  # of the variables assigned so far

    def run(self) -> None:
        """Draws all statements."""
        self._simple("assign")
        for _ in range(self._settings.num_statements - 2):
            kind = self._choose(KINDS)
            if kind == "if":
                self._conditional()
            else:
                self._simple(kind)
        self._simple("print")

    def _conditional(self) -> None:
        variable, relation = self._choose(tuple(self._values)), self._choose(("<", ">"))
        constant = self._choose(CONSTANTS)
        self._say("if", variable, relation, constant, ":")
        value = self._values[variable]
        holds = value < int(constant) if relation == "<" else value > int(constant)
        self._simple(self._choose(KINDS[:-1]), is_executed=holds, is_conditional=True)

    def _simple(self, kind: str, *, is_executed: bool = True, is_conditional: bool = False) -> None:
        if kind == "assign":
            self._assign(is_executed, is_conditional)
        elif kind == "change":
            self._change(is_executed)
        else:
            variable = self._choose(tuple(self._values))
            answer = str(self._values[variable]) if is_executed else BLANK
            self._say("print", variable, ";", answer=answer)

    def _assign(self, is_executed: bool, is_conditional: bool) -> None:
        variable = self._choose(VARIABLES[: self._settings.num_variables])
        constant = self._choose(CONSTANTS)
        self._say(variable, "=", constant, ";")
        is_lost = self._settings.labels == "legacy" and is_conditional and variable in self._values
        if is_executed and not is_lost:
            self._values[variable] = int(constant)

    def _change(self, is_executed: bool) -> None:
        """Adds or takes away one; turned round, executed or not, where that would go too far."""
        variable = self._choose(tuple(self._values))
        step = self._choose((1, -1))
        if not LOWEST <= self._values[variable] + step <= HIGHEST:
            step = -step
        self._say(variable, "++" if step > 0 else "--", ";")
        if is_executed:
            self._values[variable] += step

    def _choose(self, options: tuple[Option, ...]) -> Option:
        return options[int(next(self._uniforms) * len(options))]

    def _say(self, *tokens: str, answer: str = BLANK) -> None:
        self.text += tokens
        self.answers += [BLANK] * (len(tokens) - 1) + [answer]


def make(settings: CodeExecutionSettings) -> Task:
    """Returns the task."""
    tokens = (*VARIABLES[: settings.num_variables], *WORDS, *CONSTANTS)
    number_of_token = {token: number for number, token in enumerate(tokens)}
    number_of_answer = {answer: number for number, answer in enumerate(ANSWERS)}

    def draw(rng: np.random.Generator) -> Example:
        program = ProgramDraw(settings, rng)
        program.run()
        return Example(
            np.array([number_of_token[token] for token in program.text]),
            np.array([number_of_answer[answer] for answer in program.answers]),
        )

    return Task(tokens=tokens, answers=ANSWERS, example=from_seed(draw), blank=ANSWERS.index(BLANK))


TASK = TaskSpec(
    name="code_execution", settings=CodeExecutionSettings, make=make, size="num_statements"
)
