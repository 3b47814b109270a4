"""Levers that are no setting, timed on the part of learning that they change.

A call works on one minibatch, as the learner cuts them; seconds are those of all the minibatches
that one rollout is learned from in.
"""

import copy
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from agents.impala.config import TrainConfig
from agents.impala.learner import make_optimizer
from agents.impala.loss import impala_loss
from agents.impala.rollout import Rollout
from agents.impala.trainer import Trainer
from benchmarks.lever_report import ONE_PASS, SHIPPED, Group
from benchmarks.lever_trunks import VARIANTS
from benchmarks.throughput import Whole
from benchmarks.timing import Sample, now, take_turns
from models.policy import Policy, PolicyOutput

Call = Callable[[], object]
CPU = torch.device("cpu")


def take_parts(calls: Mapping[str, Call], rounds: int) -> dict[str, list[float]]:
    """Returns the median seconds of a call in every round, by name."""

    def timed(call: Call) -> Callable[[], Sample]:
        def sample() -> Sample:
            began = now(CPU)
            call()
            return (now(CPU) - began,)

        return sample

    samples = take_turns({name: timed(call) for name, call in calls.items()}, rounds)
    seconds = {}
    for name, taken in samples.items():
        num_repeats = len(taken) // rounds
        turns = (taken[i * num_repeats : (i + 1) * num_repeats] for i in range(rounds))
        seconds[name] = [statistics.median(s for (s,) in turn) for turn in turns]
    return seconds


def per_rollout(part: str, config: TrainConfig, calls: Mapping[str, Call], rounds: int) -> Group:
    """Times calls that each work on one minibatch."""
    num = config.learner.updates_per_rollout
    seconds = take_parts(calls, rounds)
    return Group(part, {name: [num * s for s in taken] for name, taken in seconds.items()})


def untrained(config: TrainConfig) -> tuple[Policy, Rollout]:
    """Returns a new policy and a minibatch of what it collected."""
    trainer = Trainer(config)
    rollout = trainer.collect_one()
    trainer.close()
    size = config.learner.batch_size // config.learner.num_minibatches
    return trainer.policy, rollout.select(torch.arange(size))


def encoder_variants(config: TrainConfig, rounds: int) -> Group:
    """Times forward and backward of the configured encoder, computed in other ways."""
    return per_rollout("encoder", config, _encoders(config), rounds)


def impala_variants(config: TrainConfig, rounds: int) -> Group:
    """Times forward and backward of the residual encoder, computed in other ways."""
    calls = _encoders(replace(config, encoder="impala"))
    return per_rollout("impala encoder", config, calls, rounds)


def _encoders(config: TrainConfig) -> dict[str, Call]:
    policy, minibatch = untrained(config)
    encoders = {SHIPPED: policy.encoder}
    for name, trunk in VARIANTS[config.encoder].items():
        encoders[name] = copy.deepcopy(policy.encoder)
        encoders[name].trunk.__class__ = trunk
    encoders["computed in float32"] = copy.deepcopy(policy.encoder)
    encoders["computed in float32"].precision = "float32"
    return {name: encode_and_back(encoder, minibatch) for name, encoder in encoders.items()}


def encode_and_back(encoder: Callable[[Tensor], Tensor], minibatch: Rollout) -> Call:
    """Returns a call that encodes a minibatch and sends a gradient back."""
    observation = minibatch.observation.flatten(0, 1)
    gradient = torch.randn_like(encoder(observation))

    def call() -> None:
        encoder(observation).backward(gradient)

    return call


def compiled_encoder(config: TrainConfig, rounds: int) -> Group:
    """Times forward and backward of the encoder under `torch.compile`."""
    policy, minibatch = untrained(config)
    compiled = torch.compile(copy.deepcopy(policy.encoder), dynamic=False)
    calls = {
        SHIPPED: encode_and_back(policy.encoder, minibatch),
        "encoder under torch.compile": encode_and_back(compiled, minibatch),
    }
    return per_rollout("encoder", config, calls, rounds)


def compiled_loss(config: TrainConfig, rounds: int) -> Group:
    """Times forward and backward of the loss under `torch.compile`."""
    policy, minibatch = untrained(config)
    with torch.no_grad():
        output, _ = policy(
            minibatch.observation, minibatch.last_reward, minibatch.start, minibatch.core_state
        )
    output = PolicyOutput(*(x.clone().requires_grad_() for x in output))

    def descend(loss: Callable[..., tuple[Tensor, object]]) -> Call:
        return lambda: loss(output, minibatch, config.learner)[0].backward()

    compiled = torch.compile(impala_loss, dynamic=False)
    calls = {SHIPPED: descend(impala_loss), "loss under torch.compile": descend(compiled)}
    return per_rollout("loss", config, calls, rounds)


def optimisers(config: TrainConfig, rounds: int) -> Group:
    """Times a step of Adam in torch's other implementations of it."""
    policy, _ = untrained(config)
    learner = config.learner
    assert learner.optimizer == "adam"
    for parameter in policy.parameters():
        parameter.grad = torch.randn_like(parameter)
    steps: dict[str, Call] = {SHIPPED: make_optimizer(policy, learner).step}
    for name, foreach in {"Adam: foreach": True, "Adam: one tensor at a time": False}.items():
        steps[name] = torch.optim.Adam(
            policy.parameters(),
            lr=learner.learning_rate,
            eps=learner.optimizer_epsilon,
            foreach=foreach,
        ).step
    return per_rollout("optimiser", config, steps, rounds)


def kept_activations(config: TrainConfig, rounds: int) -> Group:
    """Times what learning from the activations of acting could save at most.

    They can be kept where a rollout is learned from once and at once. The encoder's forward pass
    over all rows but the last would fall away; nothing else would become cheaper.
    """
    learner = replace(config.learner, num_passes=1, num_minibatches=1)
    config = replace(config, learner=learner)
    policy, rollout = untrained(config)
    kept = rollout.observation[:-1].flatten(0, 1)
    with Whole(config) as whole:
        seconds = take_parts({"loop": whole, "forward": lambda: policy.encoder(kept)}, rounds)
    loop = seconds["loop"]
    without = [w - f for w, f in zip(loop, seconds["forward"], strict=True)]
    return Group(ONE_PASS, {SHIPPED: loop, "activations of acting kept, at most": without})
