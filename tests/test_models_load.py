"""A policy is loaded from its file alone, or refused in one line."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from models import tensor_file
from models.cores import CORES, CoreConfig
from models.encoders import EncoderConfig
from models.load import load_policy
from models.policy import NO_ACTION, Policy, PolicyConfig

PUBLISHED = Path(__file__).parents[1] / "results/pong/rdn/seed1/policy.safetensors"
SIZES = {"hidden_size": 16, "num_heads": 2, "num_layers": 1, "feedforward_size": 8}
SPEC = {"observation_shape": [5], "observation_dtype": "float32", "num_actions": 3}


def values(kind="rdn", **core):
    core = {"kind": kind, **SIZES, **core}
    config = {"encoder": {"kind": "mlp"}, "core": core, "policy": {"last_action": True}}
    return {"config": config, "spec": SPEC}


def a_policy(kind="rdn"):
    config = CoreConfig(kind=kind, **SIZES)
    return Policy(
        (5,), "float32", 3, EncoderConfig(kind="mlp"), config, PolicyConfig(last_action=True)
    )


def written(folder, values, weights):
    path = folder / "policy.safetensors"
    tensors = {f"policy.{name}": tensor for name, tensor in weights.items()}
    path.write_bytes(tensor_file.pack(tensors | {"other": torch.zeros(2)}, values))
    return path


def inputs(num_steps=4, batch=2):
    generator = torch.Generator().manual_seed(1)
    observation = torch.randn(num_steps, batch, 5, generator=generator)
    reward = torch.randn(num_steps, batch, generator=generator)
    action = torch.tensor([[NO_ACTION, NO_ACTION], [0, 1], [2, NO_ACTION], [1, 2]])
    return observation, reward, action, action == NO_ACTION


@pytest.mark.parametrize("kind", CORES)
def test_a_policy_answers_as_the_one_that_was_saved(tmp_path, kind):
    saved = a_policy(kind)
    loaded = load_policy(written(tmp_path, values(kind), saved.state_dict()))
    assert not loaded.training
    with torch.no_grad():
        wanted, wanted_state = saved(*inputs(), saved.initial_state(2))
        output, state = loaded(*inputs(), loaded.initial_state(2))
    assert torch.equal(output.logits, wanted.logits)
    assert torch.equal(output.value, wanted.value)
    assert all(torch.equal(a, b) for a, b in zip(state, wanted_state, strict=True))


def test_a_path_may_be_text_and_the_kernel_is_one_that_fits_here(tmp_path):
    path = written(tmp_path, values(kernel="triton"), a_policy().state_dict())
    assert load_policy(str(path)).core.blocks[0].fast_net.kernel == "auto"


def test_a_policy_in_half_precision_computes_in_float32(tmp_path):
    halved = {name: tensor.half() for name, tensor in a_policy().state_dict().items()}
    loaded = load_policy(written(tmp_path, values(), halved))
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, halved[name].float()), name


def test_a_published_policy_is_loaded_and_stepped():
    policy = load_policy(PUBLISHED)
    state = policy.initial_state(1)
    screen = torch.zeros(1, 1, 4, 84, 84, dtype=torch.uint8)
    start = torch.ones(1, 1, dtype=torch.bool)
    with torch.no_grad():
        output, state = policy(screen, torch.zeros(1, 1), torch.tensor([[NO_ACTION]]), start, state)
    assert output.logits.shape == (1, 1, 6)
    assert output.logits.isfinite().all()


def changed(**parts):
    """Returns values of a file with parts replaced: `core__kind="x"`; None removes one."""
    tree = json.loads(json.dumps(values()))
    for name, value in parts.items():
        *parents, last = name.split("__")
        owner = tree
        for parent in parents:
            owner = owner[parent]
        owner[last] = value
        if value is None:
            del owner[last]
    return tree


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"config": None}, "holds no policy: 'config'"),
        ({"spec": None}, "holds no policy: 'spec'"),
        ({"spec": [1]}, "holds no policy: "),
        ({"spec__num_actions": None}, "holds no policy: 'num_actions'"),
        ({"spec__num_actions": -1}, "holds no policy: "),
        ({"spec__num_actions": "3"}, "holds no policy: "),
        ({"spec__observation_shape": 5}, "holds no policy: "),
        ({"spec__observation_shape": [84, 84]}, "encoder 'mlp' does not fit"),
        ({"config__core__kind": "rnd"}, "core.kind must be one of .*close: rdn"),
        ({"config__core__size": 3}, "holds no policy: .*'size'"),
        ({"config__core__hidden_size": "16"}, "holds no policy: "),
        ({"config__core__hidden_size": 10**15}, "holds no policy: "),
        ({"config__encoder__kind": "cnn"}, "unknown encoder 'cnn'"),
        ({"config__core__kind": "lstm"}, "weights of another policy than its mlp encoder, lstm"),
        ({"config__policy__last_action": False}, r"core.input.weight must be \[16, 257\], got"),
        ({"spec__num_actions": 4}, "and 4 actions describe"),
    ],
    ids=str,
)
def test_settings_that_make_no_policy_are_refused_in_one_line(tmp_path, parts, message):
    path = written(tmp_path, changed(**parts), a_policy().state_dict())
    with pytest.raises(ValueError, match=message) as caught:
        load_policy(path)
    assert str(caught.value).startswith(f"{path} holds ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "weight", "message"),
    [
        ("policy_head.bias", None, "there is no policy_head.bias"),
        ("policy_head.scale", torch.zeros(3), "there is a policy_head.scale"),
        ("policy_head.bias", torch.zeros(4), r"policy_head.bias must be \[3\], got \[4\]"),
        ("policy_head.bias", torch.zeros(3, dtype=torch.int32), "no tensor of floating-point"),
        ("policy_head.bias", torch.zeros(3, dtype=torch.complex64), "no tensor of floating-point"),
    ],
)
def test_weights_of_another_policy_are_refused(tmp_path, name, weight, message):
    weights = a_policy().state_dict() | {name: weight}
    weights = {name: tensor for name, tensor in weights.items() if tensor is not None}
    with pytest.raises(ValueError, match=message):
        load_policy(written(tmp_path, values(), weights))


def test_no_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no file at"):
        load_policy(tmp_path / "policy.safetensors")


class Summed(nn.Module):
    """A core of somebody else: sums its inputs."""

    output_size, state_shapes = 16, ((16,),)

    def __init__(self, input_size, scale=1.0):
        super().__init__()
        self.project = nn.Linear(input_size, 16)
        self.scale = scale

    def step(self, x, state):
        h = state[0] + self.scale * self.project(x)
        return h, (h,)


@pytest.fixture
def guest(tmp_path, monkeypatch):
    """A file that names a core from outside, whose class is not known."""
    monkeypatch.setattr("models.cores.guest._CLASSES", {"my.py:Summed": Summed})
    config = CoreConfig(kind="my.py:Summed", args={"scale": 2.0})
    sees = PolicyConfig(last_action=True)
    policy = Policy((5,), "float32", 3, EncoderConfig(kind="mlp"), config, sees)
    monkeypatch.setattr("models.cores.guest._CLASSES", {})
    tree = changed(config__core={"kind": "my.py:Summed", "args": {"scale": 2.0}})
    return written(tmp_path, tree, policy.state_dict()), policy


def test_the_class_of_a_core_from_outside_is_given(guest):
    path, saved = guest
    loaded = load_policy(path, core=Summed)
    with torch.no_grad():
        wanted, _ = saved(*inputs(), saved.initial_state(2))
        output, _ = loaded(*inputs(), loaded.initial_state(2))
    assert torch.equal(output.logits, wanted.logits)


def test_a_core_from_outside_is_asked_for(guest):
    with pytest.raises(ValueError, match=r"core my.py:Summed, which is code from outside: give"):
        load_policy(guest[0])


def test_what_is_no_core_is_refused(guest):
    with pytest.raises(ValueError, match="has neither step"):
        load_policy(guest[0], core=nn.Linear)


def test_a_class_for_a_built_in_core_is_refused(tmp_path):
    path = written(tmp_path, values(), a_policy().state_dict())
    with pytest.raises(ValueError, match="built-in core rdn: leave out core="):
        load_policy(path, core=Summed)
