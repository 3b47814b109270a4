"""The cores since 2021 against their papers' equations, one step, row and head at a time."""

import math

import pytest
import torch
from torch.nn.functional import softplus

from models.cores import CoreConfig, make_core
from models.cores.lru import LRU

SIZES = {"num_layers": 1, "hidden_size": 6, "num_heads": 2, "feedforward_size": 4}
D, H, T, B = 3, 2, 9, 2


def mixer_of(kind, bptt="full", **args):
    """Returns a core's recurrence in float64; every parameter has an effect."""
    torch.manual_seed(0)
    config = CoreConfig(kind=kind, kernel="reference", bptt=bptt, args=args, **SIZES)
    mixer = make_core(config, 5).double().blocks[0].fast_net
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return mixer


def unroll_of(mixer, size):
    """Returns inputs [T, B, H, size], a state of another unroll, and a start in row 1."""
    rng = torch.Generator().manual_seed(1)
    slow = torch.randn(2, T, B, mixer.num_heads, size, generator=rng, dtype=torch.float64)
    start = torch.zeros(T, B, dtype=torch.bool)
    zero = tuple(torch.zeros(B, *shape, dtype=torch.float64) for shape in mixer.state_shapes)
    with torch.no_grad():
        _, state = mixer(slow[0], zero, start)
    start[4, 1] = True
    return slow[1], state, start


def assert_is(mixer, size, step):
    """Holds a recurrence against step(x [size], head, *state of a head) -> y, state."""
    slow, state, start = unroll_of(mixer, size)
    y, last = mixer(slow, state, start)
    for b in range(B):
        for head in range(mixer.num_heads):
            own = [tensor[b, head] for tensor in state]
            for t in range(T):
                own = [torch.zeros_like(x) for x in own] if start[t, b] else own
                want, own = step(slow[t, b, head], head, *own)
                torch.testing.assert_close(y[t, b, head], want, rtol=1e-10, atol=1e-10)
            for got, want in zip(last, own, strict=True):
                torch.testing.assert_close(got[b, head], want, rtol=1e-10, atol=1e-10)


def silu(x):
    return x / (1 + (-x).exp())


def unit(x):
    return x / (x @ x) ** 0.5


@pytest.mark.parametrize("beta_range", [1, 2])
def test_gated_delta_net_is_the_naive_recurrence_behind_a_norm_and_a_gate(beta_range):
    net = mixer_of("gated_delta_net", beta_range=beta_range)

    def step(slow, head, h):
        q, k, v, gate, b, a = slow.split([D, D, D, D, 1, 1])
        q, k, v = unit(silu(q)) / math.sqrt(D), unit(silu(k)), silu(v)
        g = -net.log_rate[head].exp() * softplus(a + net.time_bias[head])
        h = h * g.exp()
        v = (v - (h * k[:, None]).sum(-2)) * beta_range * b.sigmoid()
        h = h + k[:, None] * v[None, :]
        o = q @ h
        o = o / ((o**2).mean() + 1e-5) ** 0.5 * net.norm.weight
        return o * silu(gate), [h]

    assert_is(net, 4 * D + 2, step)


@pytest.mark.parametrize(("num_writes", "beta_range"), [(1, 2), (3, 2), (2, 1)])
def test_delta_product_writes_several_times_and_reads_once(num_writes, beta_range):
    net = mixer_of("delta_product", num_writes=num_writes, beta_range=beta_range)

    def step(slow, head, h):
        q, *keys = slow[: (1 + num_writes) * D].split(D)
        values = slow[(1 + num_writes) * D : (1 + 2 * num_writes) * D].split(D)
        for k, v, b in zip(map(unit, keys), values, slow[-num_writes:], strict=True):
            h = h + beta_range * b.sigmoid() * torch.outer(k, v - k @ h)
        return unit(q) @ h, [h]

    assert_is(net, D + num_writes * (2 * D + 1), step)


def test_srwm_rewrites_all_of_itself():
    net = mixer_of("srwm")

    def step(slow, head, added):
        w, x = net.w[head] + added, slow.softmax(0)
        y, q, k, b = (w.T @ x).split([D, D, D, 4])
        q, k, b = q.softmax(0), k.softmax(0), b.sigmoid()
        strength = torch.cat([beta.expand(n) for beta, n in zip(b, (D, D, D, 4), strict=True)])
        return y, [added + torch.outer(k, strength * (w.T @ q - w.T @ k))]

    assert_is(net, D, step)


def test_mlstm_is_its_equations_without_the_stabiliser():
    net = mixer_of("mlstm")

    def step(slow, head, C, n, m):
        C, n = C * m.exp(), n * m.exp()
        q, k, v, o, i, f = slow.split([D, D, D, D, 1, 1])
        k = k / math.sqrt(D)
        i, f = (i + net.input_bias[head]).exp(), (f + net.forget_bias[head]).sigmoid()
        C, n = f * C + i * torch.outer(k, v), f * n + i * k
        y = C.T @ q / (n @ q).abs().clamp(min=1)
        m = torch.maximum(f.log() + m, i.log())[0]
        return y * (o + net.output_bias[head]).sigmoid(), [C / m.exp(), n / m.exp(), m]

    assert_is(net, 4 * D + 2, step)


def test_mlstm_takes_gates_that_would_overflow():
    net = mixer_of("mlstm").float()
    slow, state, start = unroll_of(net.double(), 4 * D + 2)
    slow[..., 4 * D] *= 200  # exp of it is beyond float32
    y, last = net.float()(slow.float(), tuple(x.float() for x in state), start)
    assert all(x.isfinite().all() for x in (y, *last))


@pytest.mark.parametrize("bptt", ["full", 1])
def test_lru_is_a_complex_number_that_turns_and_decays(bptt):
    net = mixer_of("lru", bptt=bptt)
    N = SIZES["hidden_size"]
    slow, state, start = unroll_of(net, 2 * N)
    inputs = (slow, *state, *net.parameters())
    for x in inputs[:3]:
        x.requires_grad_()
    y, last = net(slow, state, start)

    size = (-net.log_decay.exp()).exp()
    turn = net.log_turn.exp()
    u, (re, im), rows = slow[:, :, 0] * (1 - size**2).sqrt().repeat(2), state, []
    for t in range(T):
        if bptt == 1:
            re, im = re.detach(), im.detach()
        re, im = (torch.where(start[t][:, None], 0.0, x) for x in (re, im))
        re, im = (
            size * (turn.cos() * re - turn.sin() * im) + u[t, :, :N],
            size * (turn.sin() * re + turn.cos() * im) + u[t, :, N:],
        )
        rows.append(torch.cat([re, im], -1))
    want = torch.stack(rows)[:, :, None]
    torch.testing.assert_close(y, want, rtol=1e-10, atol=1e-10)
    for got, expected in zip(last, (re, im), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=y.dtype)
    pairs = (
        torch.autograd.grad(
            (out * weights).sum(), inputs, allow_unused=True, materialize_grads=True
        )
        for out in (y, want)
    )
    for got, expected in zip(*pairs, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


def test_lru_begins_on_the_ring_of_the_paper():
    torch.manual_seed(0)
    net = LRU(CoreConfig(kind="lru", hidden_size=2**18))
    size, turn = (-net.log_decay.exp()).exp(), net.log_turn.exp()
    assert 0.9 < size.min() < 0.901
    assert 0.998 < size.max() < 0.999
    # The square of the size is uniform: its mean is known to 0.054 / 512, five of these.
    assert abs((size**2).mean() - (0.9**2 + 0.999**2) / 2) < 0.00055
    assert abs(turn.mean() - math.pi) < 5 * 2 * math.pi / 12**0.5 / 512


@pytest.mark.parametrize("kind", ["gated_delta_net", "delta_product"])
def test_accesses_say_where_the_step_writes_and_reads(kind):
    """From an empty matrix one write leaves k (beta v)^T; its read is q W."""
    net = mixer_of(kind, **({"num_writes": 1} if kind == "delta_product" else {}))
    slow, (W,), _ = unroll_of(net, net.slow_size)
    W = torch.zeros_like(W)
    access = net.accesses(slow[0], (W,))["W"]
    _, (after,) = net(slow[:1], (W,), torch.zeros(1, B, dtype=torch.bool))
    v = slow[0, ..., 2 * D : 3 * D]
    v = silu(v) if kind == "gated_delta_net" else v
    written = access.key[..., :, None] * (access.strength[..., None] * v)[..., None, :]
    torch.testing.assert_close(after, written)
    q = slow[0, ..., :D]
    q = silu(q) / math.sqrt(D) if kind == "gated_delta_net" else q
    torch.testing.assert_close(
        access.query / access.query.norm(dim=-1, keepdim=True), q / q.norm(dim=-1, keepdim=True)
    )
