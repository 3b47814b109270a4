"""The sequence model against the paper's equations, written out token by token."""

from itertools import islice

import pytest
import torch
from torch import nn

from models.cores import CORES, CoreConfig
from models.cores.block import Block
from models.sequence_model import SequenceModel, SequenceModelConfig
from sequences.packing import pack
from sequences.tasks import NO_ANSWER, examples, find_task

HEADS, SIZE = 2, 4  # heads and features of one
TINY = {"hidden_size": HEADS * SIZE, "num_heads": HEADS, "feedforward_size": 10}


def small_model(kind, num_tokens=7, num_answers=5, **config):
    torch.manual_seed(0)
    settings = SequenceModelConfig(**{"embedding_size": 6} | config)
    core = CoreConfig(kind=kind, kernel="reference", **TINY)
    return SequenceModel(num_tokens, num_answers, settings, core).double()


def fresh_state(model, batch_size):
    return tuple(tensor.double() for tensor in model.initial_state(batch_size))


def layer_norm(h, norm):
    centred = h - h.mean()
    return norm.weight * centred / (centred.square().mean() + 1e-5).sqrt() + norm.bias


def plain_rdn_step(layer, h, W, y):
    """One layer for one token: W [HEADS, SIZE, SIZE] and y [HEADS, SIZE] before it."""
    net = layer.fast_net
    slow = (layer.slow.weight @ layer_norm(h, layer.norm_fast)).view(HEADS, 3 * SIZE + 1)
    new_W, new_y = [], []
    for head in range(HEADS):
        a = y[head].tanh()
        q = slow[head, :SIZE] + net.r_q[head].T @ a
        k = slow[head, SIZE : 2 * SIZE] + net.r_k[head].T @ a
        v = slow[head, 2 * SIZE : 3 * SIZE] + net.r_v[head].T @ a
        beta = 1 / (1 + (-(slow[head, -1] + net.r_b[head] @ a)).exp())
        q, k = q.exp() / q.exp().sum(), k.exp() / k.exp().sum()
        written = W[head] + torch.outer(k, beta * (v - W[head].T @ k))
        new_W.append(written)
        new_y.append(written.T @ q)
    h = h + layer.out.weight @ torch.cat(new_y)
    hidden = layer.expand.weight @ layer_norm(h, layer.norm_feedforward) + layer.expand.bias
    h = h + layer.contract.weight @ hidden.clamp(min=0) + layer.contract.bias
    return h, torch.stack(new_W), torch.stack(new_y)


def plain_rdn_loss(model, token, answer, start):
    """The sum of -log p(answer) where one counts, one lane and token at a time."""
    total = torch.zeros((), dtype=torch.float64)
    T, B = token.shape
    for b in range(B):
        state = None
        for t in range(T):
            if state is None or start[t, b]:
                state = [
                    (torch.zeros(HEADS, SIZE, SIZE).double(), torch.zeros(HEADS, SIZE).double())
                    for _ in model.core.blocks
                ]
            h = model.core.input.weight @ model.embedding.weight[token[t, b]]
            h = h + model.core.input.bias
            for i, layer in enumerate(model.core.blocks):
                h, *state[i] = plain_rdn_step(layer, h, *state[i])
            if answer[t, b] != NO_ANSWER:
                logits = model.output.linear.weight @ h + model.output.linear.bias
                total = total + logits.exp().sum().log() - logits[answer[t, b]]
    return total


def loss_of(model, token, answer, start):
    y, _ = model(token, fresh_state(model, token.shape[1]), start)
    counts = answer != NO_ANSWER
    return -model.output(y[counts], answer[counts]).log_prob.sum()


def gradients(loss, model):
    names, parameters = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def random_batch(T=7, B=3):
    rng = torch.Generator().manual_seed(1)
    token = torch.randint(7, (T, B), generator=rng)
    answer = torch.randint(NO_ANSWER, 5, (T, B), generator=rng)
    start = torch.zeros(T, B, dtype=torch.bool)
    start[3, 1] = start[5, 2] = True
    return token, answer, start


def test_a_step_of_the_rdn_language_model_is_the_equations():
    model = small_model("rdn")
    batch = random_batch()
    assert (batch[1] == NO_ANSWER).any()
    got, want = loss_of(model, *batch), plain_rdn_loss(model, *batch)
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    expected = gradients(want, model)
    for name, gradient in gradients(got, model).items():
        assert expected[name].abs().sum() > 0, name
        torch.testing.assert_close(gradient, expected[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", CORES)
def test_a_packed_batch_is_its_sequences_one_by_one(kind):
    task = find_task("listops").make(find_task("listops").settings(depth=2))
    drawn = list(islice(examples(task, "train", seed=0), 7))
    model = small_model(kind, len(task.tokens), len(task.answers))
    losses = []
    for lanes in (3, len(drawn)):
        batch = pack(drawn, lanes)
        losses.append(loss_of(model, *(torch.from_numpy(field) for field in batch[:3])))
    alone = [pack([example], 1) for example in drawn]
    losses.append(
        sum(loss_of(model, *(torch.from_numpy(field) for field in one[:3])) for one in alone)
    )
    expected = gradients(losses[-1], model)
    for loss in losses[:-1]:
        torch.testing.assert_close(loss, losses[-1], rtol=1e-12, atol=1e-12)
        for name, gradient in gradients(loss, model).items():
            torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", CORES)
def test_a_carried_state_makes_segments_one_sequence(kind):
    model = small_model(kind)
    token, _, start = random_batch(T=9)
    whole, _ = model(token, fresh_state(model, 3), start)
    state, parts = fresh_state(model, 3), []
    for cut in (slice(0, 4), slice(4, 5), slice(5, 9)):
        y, state = model(token[cut], state, start[cut])
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-11, atol=1e-12)


def check_distribution(output, y, num_answers):
    asked = [output(y, torch.full((len(y),), answer)) for answer in range(num_answers)]
    every = torch.stack([of.log_prob for of in asked], dim=1)
    torch.testing.assert_close(every.exp().sum(1), torch.ones(len(y)).double())
    right = torch.stack([of.right for of in asked], dim=1)
    assert torch.equal(right, every == every.amax(1, keepdim=True))


def test_adaptive_softmax_is_a_distribution_and_trains_every_cluster():
    model = small_model("lstm", num_answers=30, cutoffs=(4,))
    y = torch.randn(5, model.core.output_size, dtype=torch.float64)
    check_distribution(model.output, y, num_answers=30)
    model.output(y, torch.tensor([0, 3, 4, 20, 29])).log_prob.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.output.parameters())


def test_plain_softmax_is_a_distribution():
    model = small_model("lstm")
    y = torch.randn(4, model.core.output_size, dtype=torch.float64)
    check_distribution(model.output, y, num_answers=5)


def test_dropout_acts_in_training_alone():
    model = small_model("lstm", dropout=0.5)
    token, _, start = random_batch()
    state = fresh_state(model, 3)
    assert (model(token, state, start)[0] == 0).double().mean() == pytest.approx(0.5, abs=0.2)
    assert not torch.equal(model(token, state, start)[0], model(token, state, start)[0])
    model.eval()
    assert torch.equal(model(token, state, start)[0], model(token, state, start)[0])
    assert (model(token, state, start)[0] != 0).all()


@pytest.mark.parametrize("kind", ["rdn", "transformer"])
def test_dropout_zeroes_what_the_halves_of_a_block_add(kind, monkeypatch):
    shares = []

    def dropout(rows, p, training, *_):
        shares.append((p, training))
        return rows

    monkeypatch.setattr("torch.nn.functional.dropout", dropout)
    model = small_model(kind, dropout=0.25)
    token, _, start = random_batch()
    model(token, fresh_state(model, 3), start)
    assert shares.count((0.25, True)) == 3 * 2  # three a layer, and none around the core


def test_a_block_that_drops_all_gives_on_what_it_was_given(monkeypatch):
    model = small_model("rdn", dropout=0.25)
    monkeypatch.setattr("torch.nn.functional.dropout", lambda rows, *_: torch.zeros_like(rows))
    block = model.core.blocks[0]
    rows = torch.randn(4 * 3, 8, dtype=torch.float64)
    start = torch.zeros(4, 3, dtype=torch.bool)
    state = fresh_state(model, 3)[: len(block.fast_net.state_shapes)]
    assert torch.equal(block(rows, state, start)[0], rows)


def test_dropout_changes_nothing_outside_of_training():
    plain, dropping = small_model("rdn").eval(), small_model("rdn", dropout=0.25).eval()
    token, _, start = random_batch()
    want, _ = plain(token, fresh_state(plain, 3), start)
    got, _ = dropping(token, fresh_state(dropping, 3), start)
    torch.testing.assert_close(got, want, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedding_size": 0}, "model.embedding_size must be >= 1, got 0"),
        ({"dropout": 1.0}, r"model.dropout must be in \[0, 1\), got 1.0"),
        ({"cutoffs": (5, 3)}, r"model.cutoffs must rise from above 0, got \[5, 3\]"),
        ({"cutoffs": (0, 3)}, r"model.cutoffs must rise from above 0, got \[0, 3\]"),
        ({"cutoffs": (2, 5)}, "model.cutoffs must be below the number of answers, 5, got 5"),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        small_model("lstm", **settings)


def test_gradient_reaches_every_parameter():
    model = small_model("delta_rnn")
    loss_of(model, *random_batch()).backward()
    idle = [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert idle == []
    assert isinstance(model.embedding, nn.Embedding)


def dtypes_of_hidden_units(model):
    """Returns a set that gains what the feed-forward nets of the blocks compute in."""
    found = set()
    for block in model.modules():
        if isinstance(block, Block):
            block.contract.register_forward_pre_hook(lambda _, x: found.add(x[0].dtype))
    return found


@pytest.mark.parametrize("kind", ["lstm", "delta_net", "rdn", "transformer"])
def test_bfloat16_means_the_same_within_its_rounding(kind):
    """Worst of five seeds: outputs 0.004, gradients 0.012 of their norms (2026-11-28, CPU)."""
    found = {}
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        model = SequenceModel(
            7,
            5,
            SequenceModelConfig(embedding_size=16, precision=precision),
            CoreConfig(kind=kind, hidden_size=16, num_layers=2),
        )
        token, start = torch.randint(7, (9, 3)), torch.zeros(9, 3, dtype=torch.bool)
        hidden = dtypes_of_hidden_units(model)
        y, state = model(token, model.initial_state(3), start)
        assert hidden == (set() if kind == "lstm" else {getattr(torch, precision)})
        loss = -model.output(y.flatten(0, 1), token.flatten() % 5).log_prob.mean()
        loss.backward()
        assert {x.dtype for x in (y, *state, *model.parameters())} == {torch.float32}
        gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
        found[precision] = y.detach().flatten(), gradient
    for narrow, wide in zip(found["bfloat16"], found["float32"], strict=True):
        error = float((narrow - wide).norm() / wide.norm())
        assert 0 < error < 0.04, error


def test_a_model_in_float64_computes_in_float64():
    outputs = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        config = SequenceModelConfig(embedding_size=8, precision=precision)
        model = SequenceModel(5, 5, config, CoreConfig(kind="rdn", hidden_size=8, num_heads=2))
        model.double()
        state = tuple(s.double() for s in model.initial_state(2))
        token = torch.arange(8).view(4, 2) % 5
        outputs.append(model(token, state, torch.zeros(4, 2, dtype=torch.bool))[0])
    assert torch.equal(*outputs)


def test_an_unknown_precision_is_named():
    with pytest.raises(ValueError, match=r"model\.precision must be auto, float32 or bfloat16"):
        SequenceModelConfig(precision="float16")
