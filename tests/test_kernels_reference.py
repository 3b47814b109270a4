"""The references themselves: derivatives, cases with a known answer, resets, truncation."""

import pytest
import torch
from torch import nn

from models.kernels.delta_product import delta_product
from models.kernels.delta_rnn import delta_rnn
from models.kernels.delta_rule import delta_rule
from models.kernels.gated_delta_rule import gated_delta_rule
from models.kernels.gru import gru
from models.kernels.linear_attention import linear_attention
from models.kernels.lstm import lstm
from models.kernels.rdn import rdn
from models.kernels.srwm import srwm
from tests.kernel_cases import OPERATORS, make_inputs, outputs_and_gradients, sizes

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = sizes(4, 2, 1, 3, 2)
BPTT = ("full", 1)

every_operator = pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.title)


def case(name, *shape, start_rate=0.0):
    op = next(op for op in OPERATORS if op.name == name)
    return make_inputs(op, sizes(*shape), start_rate=start_rate)


@every_operator
def test_the_gradient_is_the_derivative_of_the_output(op):
    *floats, start = make_inputs(op, SMALL, start_rate=0).values()
    start[2, 0] = True
    assert torch.autograd.gradcheck(lambda *xs: op.reference(*xs, start), floats, fast_mode=True)


@every_operator
def test_an_episode_start_forgets_everything_before_it(op):
    tensors = make_inputs(op, sizes(9, 2, 2, 4, 3), start_rate=0)
    tensors["start"][5] = True
    y, *last = op.reference(*tensors.values())

    tail = {n: x[5:] if op.layout[n].startswith("T") else x for n, x in tensors.items()}
    tail |= {name: torch.zeros_like(tensors[name]) for name in op.states}
    tail["start"] = torch.zeros_like(tail["start"])
    fresh, *end = op.reference(*tail.values())
    assert torch.equal(y[5:], fresh)
    assert all(torch.equal(a, b) for a, b in zip(last, end, strict=True))


@every_operator
def test_a_start_lets_no_gradient_through_and_a_nan_state_neither(op):
    tensors = make_inputs(op, SMALL, start_rate=0)
    tensors["start"][0] = True
    for name in op.states:
        tensors[name].data.fill_(float("nan"))
    results = outputs_and_gradients(op, op.reference, tensors)
    assert all(x.isfinite().all() for x in results.values())
    assert not any(results[f"d{name}"].any() for name in op.states)


@every_operator
def test_bptt_1_is_a_chain_of_single_steps_without_a_graph_between_them(op):
    tensors = make_inputs(op, sizes(6, 2, 2, 4, 3))
    got = outputs_and_gradients(op, op.reference, tensors, bptt=1)

    def one_by_one(*arguments):
        arguments = dict(zip(op.layout, arguments, strict=True))
        outputs = []
        for t in range(6):
            step = {
                n: x[t : t + 1] if op.layout[n].startswith("T") else x for n, x in arguments.items()
            }
            step |= {name: step[name].detach() for name in op.states}
            y, *states = op.reference(*step.values())
            arguments |= dict(zip(op.states, states, strict=True))
            outputs.append(y)
        return torch.cat(outputs), *states

    want = outputs_and_gradients(op, one_by_one, tensors)
    for name in op.results:
        torch.testing.assert_close(got[name], want[name], msg=lambda m, name=name: f"{name}: {m}")
    assert not any(got[f"d{name}"].any() for name in op.states)


def test_bptt_1_gives_the_delta_rule_the_gradients_of_the_2021_agents():
    tensors = case("delta_rule", 5, 2, 2, 4, 3)
    q, k, v, beta, state, start = tensors.values()
    y, _ = delta_rule(*tensors.values(), bptt=1)
    g = torch.randn_like(y)
    dq, dk, dv, dbeta = torch.autograd.grad(y, [q, k, v, beta], g)
    for t in range(5):
        _, before = delta_rule(q[:t], k[:t], v[:t], beta[:t], state, start[:t])
        _, W = delta_rule(*(x[: t + 1] for x in (q, k, v, beta)), state, start[: t + 1])
        s = (k[t] * q[t]).sum(-1, keepdim=True)
        strength = beta[t].unsqueeze(-1)
        missing = v[t] - torch.einsum("bhkv,bhk->bhv", before, k[t])
        recalled = (g[t] * missing).sum(-1, keepdim=True)
        Wg = torch.einsum("bhkv,bhv->bhk", before, g[t])
        torch.testing.assert_close(dq[t], torch.einsum("bhkv,bhv->bhk", W, g[t]))
        torch.testing.assert_close(dv[t], strength * s * g[t])
        torch.testing.assert_close(dk[t], strength * (q[t] * recalled - s * Wg))
        torch.testing.assert_close(dbeta[t], (s * recalled).squeeze(-1))


def test_a_full_write_at_a_unit_key_is_recalled_exactly():
    tensors = case("delta_rule", 1, 2, 3, 5, 7)
    tensors |= {"q": tensors["k"], "beta": torch.ones_like(tensors["beta"])}
    y, _ = delta_rule(*tensors.values())
    torch.testing.assert_close(y, tensors["v"])


def test_a_gated_delta_rule_multiplies_the_memory_by_the_transition_of_the_paper():
    """Equation 10 of arXiv 2412.06464, for S = W^T: S (alpha (1 - beta k k^T)) + beta v k^T."""
    tensors = case("gated_delta_rule", 6, 2, 2, 5, 3)
    q, k, v, beta, alpha, state, _ = tensors.values()
    S = state.mT
    want = []
    for t in range(6):
        b, a = beta[t][..., None, None], alpha[t][..., None, None]
        key, value = k[t].unsqueeze(-1), v[t].unsqueeze(-1)
        S = S @ (a * (torch.eye(5, dtype=S.dtype) - b * (key @ key.mT))) + b * (value @ key.mT)
        want.append((S @ q[t].unsqueeze(-1)).squeeze(-1))
    y, last = gated_delta_rule(*tensors.values())
    torch.testing.assert_close(y, torch.stack(want))
    torch.testing.assert_close(last, S.mT)


def test_a_memory_that_decays_to_nothing_is_that_of_a_start():
    tensors = case("gated_delta_rule", 4, 2, 2, 5, 3)
    tensors["alpha"] = tensors["alpha"].detach().clone()
    tensors["alpha"][2] = 0
    q, k, v, beta, _, state, start = tensors.values()
    start = start.clone()
    start[2] = True
    started = (q, k, v, beta, tensors["alpha"], state, start)
    got, want = gated_delta_rule(*tensors.values()), gated_delta_rule(*started)
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_a_delta_product_multiplies_the_memory_by_the_transitions_of_its_writes():
    """Arxiv 2502.10297, section 3: A = (1 - b_M k_M k_M^T) ... (1 - b_1 k_1 k_1^T)."""
    M = SMALL["M"]
    tensors = case("delta_product", 2, 2, 2, 5, 4)
    q, k, v, beta, W, _ = tensors.values()
    want = []
    for t in range(2):
        b, key = beta[t][..., None, None], k[t].unsqueeze(-1)
        one_write = torch.eye(5, dtype=W.dtype) - b * (key @ key.mT)
        after = [torch.eye(5, dtype=W.dtype)]  # what happens to write m after it
        for m in reversed(range(M)):
            after.insert(0, after[0] @ one_write[m])
        written = sum(after[m + 1] @ (b[m] * (key[m] @ v[t, m].unsqueeze(-2))) for m in range(M))
        W = after[0] @ W + written
        want.append((W.mT @ q[t].unsqueeze(-1)).squeeze(-1))
    y, last = delta_product(*tensors.values())
    torch.testing.assert_close(y, torch.stack(want))
    torch.testing.assert_close(last, W)


def test_linear_attention_is_causal_attention_without_a_softmax():
    q, k, v, state, start = case("linear_attention", 7, 2, 3, 5, 4).values()
    y, last = linear_attention(q, k, v, state, start)
    scores = torch.einsum("tbhk,sbhk->bhts", q, k).tril()
    want = torch.einsum("bhts,sbhv->tbhv", scores, v) + torch.einsum("tbhk,bhkv->tbhv", q, state)
    torch.testing.assert_close(y, want)
    torch.testing.assert_close(last, state + torch.einsum("tbhk,tbhv->bhkv", k, v))


def test_a_delta_rnn_with_empty_recurrent_weights_is_a_delta_net():
    tensors = case("delta_rnn", 6, 2, 2, 4, start_rate=0.3)
    tensors |= {n: torch.zeros_like(tensors[n]) for n in ("state_r", "rv")}
    q, k, v, beta, *_, start = tensors.values()
    h, w, r, last = delta_rnn(*tensors.values())
    y, state = delta_rule(q, k, v, beta, tensors["state_w"], start)
    torch.testing.assert_close(h, y)
    torch.testing.assert_close(w, state)
    torch.testing.assert_close(last, h[-1])
    assert not r.any()


def test_a_delta_rnn_reads_its_recurrent_weights_uniformly_after_a_start():
    tensors = case("delta_rnn", 1, 2, 2, 4)
    tensors["start"][:] = True
    tensors |= {n: torch.ones_like(tensors[n]) for n in ("rbeta",)}
    h, w, r, _ = delta_rnn(*tensors.values())
    fast = torch.einsum("bhkv,bhk->bhv", w, tensors["q"][0])
    torch.testing.assert_close(r, tensors["rk"][0].unsqueeze(-1) * tensors["rv"][0].unsqueeze(-2))
    torch.testing.assert_close(h[0], fast + r.mean(-2))


def closed_form(norm, x):
    if norm == "l2":
        return x / (x * x).sum(-1, keepdim=True).sqrt()
    positive = x.exp() if norm == "softmax" else torch.where(x > 0, x + 1, x.exp())
    return positive / (positive.sum(-1, keepdim=True) + (1e-5 if norm == "sum" else 0))


@pytest.mark.parametrize("beta_range", [1, 2])
@pytest.mark.parametrize("norm", ["sum", "softmax", "l2"])
def test_an_rdn_without_recurrent_weights_is_a_delta_rule(norm, beta_range):
    tensors = case("rdn", 6, 2, 2, 4, start_rate=0.3)
    tensors |= {n: torch.zeros_like(tensors[n]) for n in ("r_q", "r_k", "r_v", "r_b")}
    q, k, v, b, *_, start = tensors.values()
    y, w, last = rdn(*tensors.values(), key_norm=norm, beta_range=beta_range)
    q, k, beta = closed_form(norm, q), closed_form(norm, k), beta_range / (1 + (-b).exp())
    want, state = delta_rule(q, k, v, beta, tensors["state_w"], start)
    torch.testing.assert_close(y, want)
    torch.testing.assert_close(w, state)
    torch.testing.assert_close(last, y[-1])


def test_an_rdn_step_sees_its_last_output_through_tanh_and_transposed_weights():
    tensors = case("rdn", 1, 2, 3, 4)
    a = tensors["state_y"].tanh()

    def seen(name):
        return tensors[name][0] + (a.unsqueeze(-2) @ tensors[f"r_{name}"]).squeeze(-2)

    b = tensors["b"][0] + torch.einsum("hd,bhd->bh", tensors["r_b"], a)
    q, k, v = seen("q").softmax(-1), seen("k").softmax(-1), seen("v")
    no_start = tensors["start"]
    want, _ = delta_rule(q[None], k[None], v[None], b.sigmoid()[None], tensors["state_w"], no_start)
    y, *_ = rdn(*tensors.values())
    torch.testing.assert_close(y, want)


def test_an_rdn_at_unit_keys_and_full_strengths_turns_the_sign_of_what_is_stored_at_its_key():
    tensors = case("rdn", 1, 2, 3, 4)
    tensors |= {n: torch.zeros_like(tensors[n]) for n in ("v", "r_q", "r_k", "r_v", "r_b")}
    k, W = tensors["k"][0].unsqueeze(-1), tensors["state_w"]
    tensors |= {"q": tensors["k"], "b": torch.full_like(tensors["b"], 99.0)}
    y, last, _ = rdn(*tensors.values(), key_norm="l2", beta_range=2)
    along = k @ k.mT / (k.mT @ k)
    torch.testing.assert_close(last, W - 2 * along @ W)
    torch.testing.assert_close(y[0].unsqueeze(-1), -W.mT @ k / (k.mT @ k).sqrt())


def test_an_srwm_moves_each_part_of_itself_from_what_its_key_finds_to_what_its_query_finds():
    D = 4
    x, w, state, start = case("srwm", 5, 1, 1, D).values()
    y, last = srwm(x, w, state, start)
    W = (w + state)[0, 0].detach()
    for t in range(5):
        output, q, k, b = (x[t, 0, 0] @ W).tensor_split((D, 2 * D, 3 * D))
        torch.testing.assert_close(y[t, 0, 0], output)
        q, k = q.exp() / q.exp().sum(), k.exp() / k.exp().sum()
        moved = []
        for part, strength in zip(W.tensor_split((D, 2 * D, 3 * D), dim=1), b, strict=True):
            rate = 1 / (1 + torch.exp(-strength))
            moved.append(part + torch.outer(k, rate * (part.T @ q - part.T @ k)))
        W = torch.cat(moved, dim=1)
    torch.testing.assert_close(last[0, 0], W - w[0])


def test_an_srwm_without_strength_is_one_linear_map_at_every_step():
    x, w, state, start = (t.detach() for t in case("srwm", 5, 2, 3, 4).values())
    w[..., -4:] = 0
    state[..., -4:] = -1e9  # x is positive: every strength is sigmoid of a large negative number
    y, last = srwm(x, w, state, start)
    torch.testing.assert_close(y, torch.einsum("tbhd,bhde->tbhe", x, (w + state)[..., :4]))
    assert torch.equal(last, state)


def test_a_gru_without_starts_is_torch_gru():
    gates, w_hh, b_hh, h, start = case("gru", 5, 3, 1, 6).values()
    layer = nn.GRU(18, 6, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.eye(18))
        layer.bias_ih_l0.zero_()
        layer.weight_hh_l0.copy_(w_hh)
        layer.bias_hh_l0.copy_(b_hh)
    want, want_h = layer(gates, h[None])
    got, got_h = gru(gates, w_hh, b_hh, h, start)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(got_h, want_h[0])


def test_an_lstm_without_starts_is_torch_lstm():
    gates, w_hh, h, c, start = case("lstm", 5, 3, 1, 6).values()
    layer = nn.LSTM(24, 6, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.eye(24))
        layer.weight_hh_l0.copy_(w_hh)
    want, (want_h, want_c) = layer(gates, (h[None], c[None]))
    got, got_h, got_c = lstm(gates, w_hh, h, c, start)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(got_h, want_h[0])
    torch.testing.assert_close(got_c, want_c[0])
