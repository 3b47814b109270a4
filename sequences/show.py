"""Examples of a task as text: each token with the answer that is right there."""

from itertools import islice

from sequences.tasks import NO_ANSWER, Example, Split, Task, examples

LINE_WIDTH = 96  # characters
MAX_TOKENS = 400  # of an example


def show(task: Task, split: Split, seed: int, num_examples: int) -> str:
    """Returns the first examples of a split, for people to read."""
    drawn = islice(examples(task, split, seed), num_examples)
    return "\n\n".join(describe(task, example) for example in drawn)


def describe(task: Task, example: Example) -> str:
    """Returns an example: on one line with its answer where one counts, else in pairs of lines."""
    tokens = [task.tokens[token] for token in example.tokens]
    asked = example.answers[example.answers != NO_ANSWER]
    if len(asked) == 1 and example.answers[-1] != NO_ANSWER:
        return f"{' '.join(tokens)}  ->  {task.answers[asked[0]]}"
    answers = ["" if answer == NO_ANSWER else task.answers[answer] for answer in example.answers]
    lines = _pairs_of_lines(tokens[:MAX_TOKENS], answers[:MAX_TOKENS])
    if len(tokens) > MAX_TOKENS:
        lines.append(f"... {len(tokens)} tokens")
    return "\n".join(lines)


def _pairs_of_lines(tokens: list[str], answers: list[str]) -> list[str]:
    """Returns tokens with their answers below, each pair in a column, as wide as a line may be."""
    lines: list[str] = []
    above = below = ""
    for token, answer in zip(tokens, answers, strict=True):
        width = max(len(token), len(answer)) + 1
        if above and len(above) + width > LINE_WIDTH:
            lines += [above.rstrip(), below.rstrip()]
            above = below = ""
        above += token.ljust(width)
        below += answer.ljust(width)
    return [*lines, above.rstrip(), below.rstrip()]
