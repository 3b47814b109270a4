"""How fast models that read sequences learn: cores beside `nn.LSTM` and PyTorch's attention.

All models have the same embedding, sizes and output, and take turns in one process, at every
length with the same number of tokens: what grows faster than the length is slower there. The
attention is causal, sees the whole sequence, and stands in the same blocks as fast weights. Dense
layers compute in float32, but for those of `rdn, bfloat16`. On a CPU one thread computes, and what
counts is its CPU time: work beside it takes caches, but no turns.

Then whole batches of tasks, packed end to end as training has them, and each sequence padded in a
lane of its own.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from statistics import median
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.result_file import show, write_result
from benchmarks.timing import Sample, now, speed_over, take_turns
from experiment.bounds import refuse_below
from experiment.device import choose_device
from experiment.provenance import provenance
from models.cores import CORES, Core, CoreConfig, CoreState
from models.cores.block import Mixer, ResidualStack
from models.precision import Precision
from models.sequence_model import SequenceModel, SequenceModelConfig
from sequences.config import TaskConfig, make_task
from sequences.packing import Batch, pack
from sequences.scores import ask
from sequences.tasks import examples

FUSED = tuple(kind for kind, spec in CORES.items() if spec.kernel)
"""The cores that have a kernel of their own."""
PEERS = ("nn.LSTM", "attention")
BFLOAT16 = "rdn, bfloat16"
VOCABULARY = 64
TASKS = {  # with the lanes that 64 sequences are packed into
    "listops": (TaskConfig(kind="listops", args={"depth": 10}), 16),
    "code_execution": (TaskConfig(kind="code_execution", args={"num_statements": 25}), 32),
}
NUM_SEQUENCES = 64
PACKED_CORES = ("lstm", "rdn")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `bench sequences` is asked for.

    Args:
        rounds: turns of each model, one batch each.
        tokens: of a batch, at every length.
        lengths: tokens of each sequence.
        size: features of a token and of the core.
        num_layers: of the core.
    """

    rounds: int = 7
    tokens: int = 4096
    lengths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    size: int = 128
    num_layers: int = 2

    def __post_init__(self) -> None:
        refuse_below(self, 2, "rounds")
        for length in self.lengths:
            if length < 1 or self.tokens % length:
                raise ValueError(f"tokens, {self.tokens}, must be a multiple of length {length}")


class TorchLSTM(Core):
    """PyTorch's own LSTM, which knows no starts within a sequence."""

    def __init__(self, size: int, num_layers: int) -> None:
        super().__init__()
        self.output_size, self._num_layers = size, num_layers
        self.lstm = nn.LSTM(size, size, num_layers)

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Hidden and cell vectors of all layers."""
        return ((self._num_layers, self.output_size),) * 2

    def forward(self, x: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs all layers over sequences that begin with an empty state."""
        y, last = self.lstm(x)
        return y, last


class CausalAttention(Mixer):
    """Softmax attention over all tokens so far, by PyTorch's kernel for it; keeps no state."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        self.slow_size = 3 * self.head_size
        self.state_shapes = ()

    def forward(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Attends within each lane; see `Mixer.forward`."""
        q, k, v = slow.permute(1, 2, 0, 3).chunk(3, -1)
        y_BHTD = scaled_dot_product_attention(q, k, v, is_causal=True)
        return y_BHTD.permute(2, 0, 1, 3), ()


def make_model(name: str, vocabulary: tuple[int, int], settings: Settings) -> SequenceModel:
    """Returns the model of a name, such as "rdn" or "nn.LSTM"."""
    torch.manual_seed(0)
    precision: Precision = "bfloat16" if name == BFLOAT16 else "float32"
    around = SequenceModelConfig(embedding_size=settings.size, precision=precision)
    kind = name if name in FUSED else "rdn"
    sizes: dict[str, Any] = {
        "hidden_size": settings.size,
        "num_layers": settings.num_layers,
        "num_heads": 8,
        "feedforward_size": 4 * settings.size,
    }
    core = replace(CoreConfig(kind=kind), **{name: sizes[name] for name in CORES[kind].sizes})
    model = SequenceModel(*vocabulary, around, core)
    if name == "nn.LSTM":
        model.core = TorchLSTM(settings.size, settings.num_layers)
    elif name == "attention":
        model.core = ResidualStack(core, settings.size, CausalAttention)
    return model


def step(model: SequenceModel, batch: tuple[Tensor, Tensor, Tensor]) -> Sample:
    """Learns from a batch but for the optimiser's step; returns seconds forward and backward."""
    token, answer, start = batch
    device = token.device
    model.zero_grad(set_to_none=True)
    began = _seconds(device)
    y, _ = model(token, model.initial_state(token.shape[1], device), start)
    loss = -ask(model, y, answer).log_prob.mean()
    between = _seconds(device)
    torch.autograd.backward(loss)
    return between - began, _seconds(device) - between


def _seconds(device: torch.device) -> float:
    return time.process_time() if device.type == "cpu" else now(device)


def time_lengths(settings: Settings, device: torch.device) -> dict[str, dict[str, list[Sample]]]:
    """Returns seconds forward and backward of every turn, by length and model."""
    found = {}
    for length in settings.lengths:
        shape = length, settings.tokens // length
        token = torch.randint(VOCABULARY, shape, device=device)
        start = torch.zeros(shape, dtype=torch.bool, device=device)
        start[0] = True
        models = {
            name: make_model(name, (VOCABULARY, VOCABULARY), settings).to(device)
            for name in (*FUSED, BFLOAT16, *PEERS)
        }
        calls = {name: partial(step, of, (token, token, start)) for name, of in models.items()}
        found[str(length)] = take_turns(calls, settings.rounds, repeats=1, is_told=True)
    return found


def time_packing(settings: Settings, device: torch.device) -> dict[str, Any]:
    """Returns, by task, the steps and filler of a batch either way, and seconds by core."""
    found = {}
    for task_name, (config, num_lanes) in TASKS.items():
        task = make_task(config)
        sequences = list(islice(examples(task, "train", 0), NUM_SEQUENCES))
        batches = {"packed": pack(sequences, num_lanes), "padded": pack(sequences, NUM_SEQUENCES)}
        calls: dict[str, Callable[[], Sample]] = {}
        for core in PACKED_CORES:
            model = make_model(core, (len(task.tokens), len(task.answers)), settings).to(device)
            for way, batch in batches.items():
                calls[f"{core}, {way}"] = partial(step, model, _tensors(batch, device))
        found[task_name] = {
            "batches": {way: _shape(batch) for way, batch in batches.items()},
            "seconds": take_turns(calls, settings.rounds, repeats=1, is_told=True),
        }
    return found


def _tensors(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    token, answer, start = (torch.from_numpy(x) for x in (batch.token, batch.answer, batch.start))
    return token.to(device), answer.to(device), start.to(device)


def _shape(batch: Batch) -> dict[str, int]:
    num_steps, num_lanes = batch.token.shape
    return {"steps": num_steps, "lanes": num_lanes, "tokens": batch.num_tokens}


def speed_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Returns a row per model: thousands of tokens a second, and how many times nn.LSTM's."""
    by_length: dict[str, dict[str, list[Sample]]] = report["lengths"]
    tokens = report["settings"]["tokens"]
    first = next(iter(by_length.values()))
    return [
        [name, *(_speed(samples, name, tokens) for samples in by_length.values())] for name in first
    ]


def _speed(samples: Mapping[str, Sequence[Sample]], name: str, tokens: int) -> str:
    totals = {of: [sum(sample) for sample in samples[of]] for of in (name, "nn.LSTM")}
    thousands = tokens / median(totals[name]) / 1e3
    ratio, (low, high) = speed_over(totals["nn.LSTM"], totals[name])
    beside = "" if name == "nn.LSTM" else f" ({ratio:.2f}, {low:.2f} to {high:.2f})"
    return f"{thousands:.1f}{beside}"


def packing_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Returns a row per task and core: filler either way, and how much faster packed is."""
    rows = []
    for task, of in report["packing"].items():
        filler = {way: _filler(batch) for way, batch in of["batches"].items()}
        for core in PACKED_CORES:
            padded, packed = (
                [sum(sample) for sample in of["seconds"][f"{core}, {way}"]]
                for way in ("padded", "packed")
            )
            ratio, (low, high) = speed_over(padded, packed)
            row = [task, core, filler["padded"], filler["packed"]]
            rows.append([*row, f"{ratio:.2f} ({low:.2f} to {high:.2f})"])
    return rows


def _filler(batch: Mapping[str, int]) -> str:
    return f"{1 - batch['tokens'] / (batch['steps'] * batch['lanes']):.0%}"


PACKING_HEADER = ("task", "core", "filler, padded", "filler, packed", "packed is faster by")


def speed_header(report: Mapping[str, Any]) -> list[str]:
    """Returns the head of the columns of `speed_rows`."""
    return ["thousand tokens/s, length", *report["lengths"]]


def main(settings: Settings, *, as_json: bool) -> None:
    """Measures, prints and writes the result file."""
    torch.set_num_threads(1)
    device = choose_device("auto")
    report = provenance() | {
        "settings": asdict(settings),
        "device": device.type,
        "lengths": time_lengths(settings, device),
        "packing": time_packing(settings, device),
    }
    speeds = Table(*speed_header(report), title="forward and backward; in brackets times nn.LSTM")
    for row in speed_rows(report):
        speeds.add_row(*row)
    packing = Table(*PACKING_HEADER)
    for row in packing_rows(report):
        packing.add_row(*row)
    show(report, [speeds, packing], write_result("sequences", report), as_json=as_json)
