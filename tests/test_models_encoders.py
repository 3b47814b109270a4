"""The encoders against plain float64 arithmetic, and bfloat16 against float32."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from models.encoders import EncoderConfig, make_encoder, resolved
from models.encoders.impala import with_channels
from models.encoders.small import SmallTrunk, space_to_depth
from models.precision import compute_dtype, has_bfloat16

KINDS = ("impala", "small")
FRAMES = (4, 84, 84)


def build(kind, shape=FRAMES, precision="float32", symbols=(), **options):
    torch.manual_seed(0)
    dtype = "float32" if kind == "mlp" else "uint8"
    config = EncoderConfig(kind=kind, precision=precision, **options)
    return make_encoder(config, shape, dtype, symbols)


def frames(num, shape=FRAMES, seed=1):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (num, *shape), generator=rng, dtype=torch.uint8)


def relative_rms(actual, expected):
    return ((actual - expected).norm() / expected.norm()).item()


def plain_small(encoder, pixels):
    """Divide by 255, convolve with centred kernels, convolve, flatten, normalise."""
    trunk, out = encoder.trunk, encoder.out
    weight, bias = double(trunk.first)
    centred = weight - weight.mean((1, 2, 3), keepdim=True)
    h = functional.conv2d(pixels.double() / 255, centred, bias, stride=4).relu()
    h = functional.conv2d(h, *double(trunk.second), stride=2).relu()
    h = functional.linear(h.permute(0, 2, 3, 1).flatten(1), *double(out))
    return functional.layer_norm(h, h.shape[1:], *double(encoder.norm)).relu()


def plain_impala(encoder, pixels):
    """Per section conv 3x3, max-pool 3x3 stride 2, two blocks x + conv(relu(conv(relu(x))))."""
    x = pixels.double() / 255
    for section in encoder.trunk.sections:
        x = functional.conv2d(x, *double(section.conv), padding=1)
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        for block in section.blocks:
            h = functional.conv2d(x.relu(), *double(block.first), padding=1)
            x = x + functional.conv2d(h.relu(), *double(block.second), padding=1)
    return functional.linear(x.relu().permute(0, 2, 3, 1).flatten(1), *double(encoder.out)).relu()


def double(layer):
    return layer.weight.double(), layer.bias.double()


PLAIN = {"small": plain_small, "impala": plain_impala}


# Worst seen: 5.3e-7 (AVX-512 CPU, 2026-11-24).
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [FRAMES, (4, 42, 42), (1, 43, 30)], ids=str)
def test_float32_is_the_plain_network_on_pixels_over_255(kind, shape):
    encoder, pixels = build(kind, shape), frames(3, shape)
    error = relative_rms(encoder(pixels).double(), PLAIN[kind](encoder, pixels))
    assert error < 2e-6


def test_small_encoder_sees_no_plain_background():
    encoder = build("small")
    nn.init.normal_(encoder.trunk.first.bias)
    black, grey = torch.zeros(1, *FRAMES, dtype=torch.uint8), frames(1)[:, :1, :1, :1]
    grey = grey.expand(1, *FRAMES).contiguous()
    assert grey.float().mean() > 0
    torch.testing.assert_close(encoder(grey), encoder(black), atol=1e-5, rtol=0)


def outputs_and_gradients(encoder, pixels):
    features = encoder(pixels)
    cotangent = torch.randn(features.shape, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad((features * cotangent).sum(), list(encoder.parameters()))
    return {"features": features} | dict(
        zip((name for name, _ in encoder.named_parameters()), gradients, strict=True)
    )


# Worst of 6 seeds: features 6.7e-3, one parameter's gradient 0.25, cosine of the whole gradient
# 0.9971; torch.autocast on the plain network is as far off (AVX-512 BF16 CPU, 2026-11-24).
@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_computes_the_same_network(kind):
    pixels = frames(32)
    want = outputs_and_gradients(build(kind), pixels)
    got = outputs_and_gradients(build(kind, precision="bfloat16"), pixels)
    errors = {name: relative_rms(got[name], want[name]) for name in want}
    assert 1e-4 < errors["features"] < 1e-2, errors
    assert all(error < 0.4 for error in errors.values()), errors
    del got["features"], want["features"]
    flat = [torch.cat([g.flatten() for g in gradients.values()]) for gradients in (got, want)]
    assert functional.cosine_similarity(*flat, dim=0) > 0.99


@pytest.mark.parametrize("kind", [*KINDS, "mlp"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_parameters_gradients_and_features_are_float32(kind, precision):
    shape = (7,) if kind == "mlp" else (4, 42, 42)
    encoder = build(kind, shape, precision)
    observation = torch.randn(5, *shape) if kind == "mlp" else frames(5, shape)
    features = encoder(observation)
    features.sum().backward()
    assert features.shape == (5, 256)
    assert features.dtype == torch.float32
    for parameter in encoder.parameters():
        assert parameter.dtype == parameter.grad.dtype == torch.float32
        assert parameter.grad.abs().sum() > 0


def test_symbols_become_one_hot_in_their_own_places():
    sizes = (11, 6, 3, 11, 6, 3, 4)
    encoder = build("symbols", (7,), symbols=sizes)
    encoder.mlp = nn.Identity()
    observation = torch.tensor([[10, 5, 2, 0, 1, 0, 3], [6, 0, 1, 9, 4, 2, 0]], dtype=torch.uint8)
    want = [functional.one_hot(observation[:, i].long(), n) for i, n in enumerate(sizes)]
    assert torch.equal(encoder(observation), torch.cat(want, dim=1).float())


# The chunks' gradients are summed in another order; worst seen: 2e-7 (AVX-512 CPU, 2026-11-24).
def test_chunks_change_neither_features_nor_gradients(monkeypatch):
    encoder, pixels = build("small", (4, 42, 42)), frames(10, (4, 42, 42))
    want = outputs_and_gradients(encoder, pixels)
    monkeypatch.setattr(SmallTrunk, "CPU_CHUNK", 4)
    got = outputs_and_gradients(encoder, pixels)
    errors = {name: relative_rms(got[name], want[name]) for name in want}
    assert all(error < 2e-6 for error in errors.values()), errors


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("width", [84, 42, 43])  # moved by four bytes, two, one
def test_space_to_depth_is_pixel_unshuffle(channels, width):
    pixels = frames(2, (channels, 84, width))
    kept = pixels[..., : width // 4 * 4]
    want = functional.pixel_unshuffle(kept.float(), 4)
    got = space_to_depth(pixels, 4)
    assert torch.equal(got.float(), want)
    assert got.is_contiguous(memory_format=torch.channels_last)


def test_space_to_depth_takes_any_strides():
    pixels = frames(2, (3, 44, 48))
    assert torch.equal(
        space_to_depth(pixels[..., 3:43], 4), space_to_depth(pixels[..., 3:43].clone(), 4)
    )


@pytest.mark.parametrize(
    ("kind", "shape", "parameters"),
    [
        (
            "impala",
            FRAMES,
            1_089_232,
        ),  # 592 + 4 * 2,320, 4,640 + 4 * 9,248, 5 * 9,248, 3,872 * 256 + 256
        ("small", FRAMES, 676_656),  # 4,112, 8,224, 2,592 * 256 + 256 + 512
        ("small", (4, 42, 42), 86_832),  # 4,112, 8,224, 288 * 256 + 256 + 512
        ("mlp", (7,), 68_352),  # 8 * 256, 257 * 256, 512
    ],
)
def test_parameter_counts(kind, shape, parameters):
    assert sum(p.numel() for p in build(kind, shape).parameters()) == parameters


def test_output_size_is_a_setting():
    assert build("small", (4, 42, 42), size=10)(frames(2, (4, 42, 42))).shape == (2, 10)


@pytest.mark.parametrize(
    ("kind", "shape", "symbols"),
    [("small", FRAMES, ()), ("mlp", (7,), ()), ("symbols", (10,), (11, 6, 3) * 3 + (4,))],
    ids=str,
)
def test_first_weights_are_orthogonal_and_keep_a_signals_size(kind, shape, symbols):
    encoder = build(kind, shape, symbols=symbols, size=12)
    layers = [m for m in encoder.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) >= 2
    for layer in layers:
        weight = layer.weight.detach().flatten(1).double()
        rows, columns = weight.shape
        gram = weight @ weight.T if rows <= columns else weight.T @ weight
        twice = 2 * torch.eye(len(gram), dtype=torch.float64)
        # Worst over 20 seeds: 1.8e-6 (2026-11-25, CPU).
        torch.testing.assert_close(gram, twice, rtol=0, atol=5e-6)
        assert not layer.bias.any()


@pytest.mark.parametrize("has_it", [False, True])
def test_auto_is_bfloat16_where_the_device_has_it(monkeypatch, has_it):
    monkeypatch.setattr("models.precision.has_bfloat16", lambda device_type: has_it)
    for device in map(torch.device, ("cpu", "cuda")):
        assert compute_dtype("auto", device) == (torch.bfloat16 if has_it else torch.float32)
        assert compute_dtype("float32", device) == torch.float32
        assert compute_dtype("bfloat16", device) == torch.bfloat16


@pytest.mark.parametrize(("avx512", "amx"), [(False, False), (True, False), (False, True)])
def test_a_cpu_has_bfloat16_by_either_of_two_sets_of_instructions(monkeypatch, avx512, amx):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert has_bfloat16.__wrapped__("cpu") is (avx512 or amx)


def test_an_encoder_says_what_it_computes_in(monkeypatch):
    for device in map(torch.device, ("cpu", "cuda")):
        assert build("small", FRAMES, precision="bfloat16").arithmetic_on(device) == "bfloat16"
        assert build("mlp", (7,), precision="bfloat16").arithmetic_on(device) == "float32"
    plain = build("small", FRAMES, precision="float32")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert plain.arithmetic_on(torch.device("cuda")) == "tf32"
    assert plain.arithmetic_on(torch.device("cpu")) == "float32"
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    assert plain.arithmetic_on(torch.device("cuda")) == "float32"


def test_more_channels_change_nothing_in_the_residual_trunk():
    trunk = build("impala", FRAMES, precision="float32").trunk
    pixels = torch.randint(0, 256, (2, *FRAMES)).float()
    filled = with_channels(pixels, 4)
    assert filled.shape[1] == FRAMES[0] + 4
    torch.testing.assert_close(trunk.planes(filled, 1 / 255), trunk.planes(pixels, 1 / 255))


@pytest.mark.parametrize(
    ("kind", "shape", "dtype", "message"),
    [
        ("small", (7,), "float32", r"'small' does not fit float32 .* \(7,\); mlp would"),
        ("mlp", FRAMES, "uint8", r"'mlp' does not fit uint8 .* \(4, 84, 84\); impala or small"),
        ("small", (4, 16, 84), "uint8", r"'small' does not fit .*; impala would"),
        ("impala", FRAMES, "float32", r"; no encoder would"),
        ("symbols", (7,), "uint8", r"'symbols' does not fit uint8 .*; no encoder would"),
        (
            "resnet",
            FRAMES,
            "uint8",
            r"unknown encoder 'resnet'; choose auto or one of impala, small",
        ),
    ],
)
def test_an_encoder_that_does_not_fit_says_what_would(kind, shape, dtype, message):
    with pytest.raises(ValueError, match=message):
        make_encoder(EncoderConfig(kind=kind), shape, dtype)


@pytest.mark.parametrize(
    ("shape", "dtype", "symbols", "kind"),
    [
        (FRAMES, "uint8", (), "impala"),
        ((3, 7, 7), "uint8", (), "impala"),
        ((7,), "float32", (), "mlp"),
        ((2,), "uint8", (3, 4), "symbols"),
    ],
)
def test_auto_is_an_encoder_that_fits_and_the_others_stay(shape, dtype, symbols, kind):
    config = resolved(EncoderConfig(size=24), shape, dtype, symbols)
    assert config == EncoderConfig(kind=kind, size=24)
    assert resolved(config, shape, dtype, symbols) == config
    assert make_encoder(EncoderConfig(size=24), shape, dtype, symbols).output_size == 24


def test_auto_is_refused_where_no_encoder_fits():
    with pytest.raises(ValueError, match=r"'auto' does not fit .*; no encoder would"):
        resolved(EncoderConfig(), FRAMES, "float32")


@pytest.mark.parametrize("options", [{"size": 0}, {"precision": "float16"}], ids=str)
def test_impossible_settings_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        EncoderConfig(**options)
