"""The device path: what a GPU does must be what the plain calls would do."""

import dataclasses
import threading

import numpy as np
import pytest
import torch

from agents.evaluation.evaluate import EvaluationConfig, evaluate
from agents.impala import graphs, streams
from agents.impala.acting import EagerActStep, make_act_step
from agents.impala.config import LearnerConfig, TrainConfig
from agents.impala.learner import Learner
from agents.impala.resolve import make_policy
from agents.impala.trainer import Trainer
from agents.impala.upload import Uploader
from agents.runs import resume, train
from envs import EnvConfig, make_env
from envs.spec import EnvSpec
from experiment.metrics import read_metrics
from experiment.nonfinite import NonFiniteUpdate
from experiment.session import SessionConfig
from models.cores import CORES, CoreConfig
from models.encoders import EncoderConfig
from models.policy import NO_ACTION

B = 6
PIXELS = EnvSpec(
    game="Pong-v5",
    observation_shape=(4, 84, 84),
    observation_dtype="uint8",
    num_actions=6,
    frame_skip=4,
)


def config(core="rdn", **options):
    defaults = {
        "game": "tmaze",
        "env": EnvConfig(length=4),
        "encoder": EncoderConfig(kind="mlp"),
        "learner": LearnerConfig(unroll_length=6, batch_size=B),
        "total_frames": 6 * B * 5,
        "device": "cuda",
        "num_threads": 1,
    }
    return TrainConfig(core=CoreConfig(kind=core), **(defaults | options))


def pixel_config(encoder, **options):
    return config(
        game="Pong",
        env=EnvConfig(num_threads=2),
        encoder=EncoderConfig(kind=encoder),
        total_frames=6 * B * 5 * 4,
        **options,
    )


def rows(num, device):
    """Observations, last rewards, last actions and starts of num steps, each [1, B, ...]."""
    env = make_env("tmaze", EnvConfig(length=4), B, seed=3)
    for _ in range(num):
        step = env.recv()
        given = (step.observation, step.reward, np.full(B, NO_ACTION), step.start)
        yield tuple(torch.from_numpy(x)[None].to(device) for x in given)
        env.send(np.zeros(B, dtype=np.int64))


def pixel_rows(num, device):
    """The same of noise that looks like pixels."""
    rng = torch.Generator(device).manual_seed(0)
    for _ in range(num):
        pixels = torch.randint(
            0, 256, (1, B, *PIXELS.observation_shape), generator=rng, device=device
        )
        yield (
            pixels.to(torch.uint8),
            torch.rand(1, B, generator=rng, device=device),
            torch.randint(0, PIXELS.num_actions, (1, B), generator=rng, device=device),
            torch.rand(1, B, generator=rng, device=device) < 0.2,
        )


def assert_captured_steps_are_plain_steps(policy, given):
    device = torch.device("cuda")
    plain = EagerActStep(policy, torch.Generator(device).manual_seed(1))
    graphed = make_act_step(policy, torch.Generator(device).manual_seed(1))
    assert type(graphed) is not EagerActStep
    expected_state = policy.initial_state(B, device)
    state = policy.initial_state(B, device)
    for row in given:
        action, log_prob, state = graphed(*row, state)
        expected, expected_log_prob, expected_state = plain(*row, expected_state)
        assert torch.equal(action, expected)
        assert np.array_equal(graphed.answer(), plain.answer())
        torch.testing.assert_close(log_prob, expected_log_prob)
        torch.testing.assert_close(state, expected_state)
        with torch.no_grad():  # new weights, at the same addresses, are the ones that act
            policy.policy_head.bias.add_(torch.randn_like(policy.policy_head.bias))


@pytest.mark.gpu
@pytest.mark.parametrize("core", CORES)
def test_a_captured_step_is_the_plain_step(core):
    spec = make_env("tmaze", EnvConfig(length=4), B, seed=3).spec
    policy = make_policy(config(core), spec).to("cuda")
    assert_captured_steps_are_plain_steps(policy, rows(10, torch.device("cuda")))


@pytest.mark.gpu
@pytest.mark.parametrize("encoder", ["small", "impala"])
def test_a_captured_step_of_pixels_is_the_plain_step(encoder):
    policy = make_policy(pixel_config(encoder), PIXELS).to("cuda")
    assert_captured_steps_are_plain_steps(policy, pixel_rows(5, torch.device("cuda")))


def make_learner(settings, spec=None):
    torch.manual_seed(0)
    spec = spec or make_env("tmaze", EnvConfig(length=4), B, seed=3).spec
    policy = make_policy(settings, spec).to("cuda")
    generator = torch.Generator().manual_seed(0)
    frames = settings.learner.unroll_length * settings.learner.batch_size
    return Learner(
        policy,
        settings.learner,
        total_frames=10_000,
        frames_per_rollout=frames,
        generator=generator,
    )


def weights(policy):
    return torch.cat([p.detach().flatten().clone() for p in policy.parameters()])


@pytest.mark.gpu
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
@pytest.mark.parametrize("core", ["lstm", "rdn"])
def test_captured_updates_are_the_plain_updates(monkeypatch, core, optimizer):
    learner = LearnerConfig(
        unroll_length=6, batch_size=B, num_passes=2, num_minibatches=2, optimizer=optimizer
    )
    settings = config(core, learner=learner)
    trainer = Trainer(dataclasses.replace(settings, mode="serial"))
    rollouts = [trainer.collect_one() for _ in range(4)]
    trainer.close()
    graphed = make_learner(settings)
    found = [graphed.learn(rollout) for rollout in rollouts]
    assert graphed._graphed is not None
    plain = make_learner(settings)
    monkeypatch.setattr("agents.impala.learner.GraphedUpdate", lambda update: None)
    expected = [plain.learn(rollout) for rollout in rollouts]
    assert plain._graphed is None
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)
    torch.testing.assert_close(weights(graphed.policy), weights(plain.policy))


@pytest.mark.gpu
def test_a_spoilt_rollout_leaves_the_weights_that_a_graph_made():
    settings = config(learner=LearnerConfig(unroll_length=6, batch_size=B, num_passes=2))
    trainer = Trainer(settings)
    learner = trainer.learner
    for _ in range(3):
        learner.learn(trainer.collect_one())
    rollout = trainer.collect_one()
    trainer.close()
    before, version = weights(learner.policy), learner.version
    reward = rollout.reward.clone()
    rollout.reward.fill_(torch.nan)
    with pytest.raises(NonFiniteUpdate, match=f"loss/total is nan at update {version}"):
        learner.learn(rollout)
    assert torch.equal(weights(learner.policy), before)
    rollout.reward.copy_(reward)
    learner.learn(rollout)  # and the graph goes on from there
    assert not torch.equal(weights(learner.policy), before)
    assert weights(learner.policy).isfinite().all()


def final_weights(settings):
    trainer = Trainer(settings)
    list(trainer.rows())
    trainer.close()
    return weights(trainer.policy)


@pytest.mark.gpu
def test_async_training_on_a_device_does_not_depend_on_timing():
    settings = config(mode="async", exact_lag=1)
    assert torch.equal(final_weights(settings), final_weights(settings))


@pytest.mark.gpu
@pytest.mark.parametrize("encoder", ["small", "impala"])
def test_async_training_from_frames_does_not_depend_on_timing(encoder):
    settings = pixel_config(encoder, mode="async", exact_lag=1, num_groups=2)
    assert torch.equal(final_weights(settings), final_weights(settings))


@pytest.mark.gpu
@pytest.mark.parametrize("core", ["lstm", "rdn"])
def test_two_actors_with_two_groups_each_capture_beside_the_learner(core):
    """One capture at a time: without a lock these break each other's."""
    for _ in range(3):
        settings = config(core, mode="async", num_actors=2, num_groups=2)
        assert final_weights(settings).isfinite().all()


@pytest.mark.gpu
def test_captures_of_many_threads_take_turns():
    device = torch.device("cuda")
    errors = []

    def captures():
        x = torch.zeros(1000, device=device)
        try:
            for _ in range(5):
                graph, _ = graphs.capture(lambda: x.add_(1), device, warm_up=1)
                graph.replay()
        except RuntimeError as error:
            errors.append(error)

    threads = [threading.Thread(target=captures) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


@pytest.mark.gpu
def test_a_capture_while_acting_leaves_others_their_gradients():
    """The first capture of a process, under inference mode, once broke all later ones."""
    spec = make_env("tmaze", EnvConfig(length=4), B, seed=3).spec
    policy = make_policy(config(), spec).to("cuda")
    step = make_act_step(policy, torch.Generator("cuda").manual_seed(1))
    row = next(rows(1, torch.device("cuda")))
    step(*row, policy.initial_state(B, torch.device("cuda")))
    w = torch.ones(3, device="cuda", requires_grad=True)
    graph, gradient = graphs.capture(
        lambda: torch.autograd.grad(torch.nn.functional.dropout(w).sum(), w)[0], w.device
    )
    graph.replay()
    assert gradient.isfinite().all()


@pytest.mark.gpu
def test_acting_goes_before_learning():
    device = torch.device("cuda")
    with streams.acting_stream(device):
        assert torch.cuda.current_stream(device).priority == -1
    assert Uploader(device)._stream.priority == -1
    assert torch.cuda.current_stream(device).priority == 0


@pytest.mark.gpu
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
@pytest.mark.parametrize(("first", "then"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_run_goes_on_on_the_other_device(tmp_path, first, then, optimizer):
    learner = LearnerConfig(unroll_length=6, batch_size=B, optimizer=optimizer)
    settings = config(device=first, learner=learner, run_dir=str(tmp_path / "run"))
    settings = dataclasses.replace(settings, checkpoint_interval_seconds=0, log_interval_seconds=0)
    run = train(settings, SessionConfig(stop_after_updates=3))
    saved = (run / "config.yaml").read_text()
    assert f"device: {first}\n" in saved
    (run / "config.yaml").write_text(saved.replace(f"device: {first}\n", f"device: {then}\n"))
    resume(run)
    learned = [row["updates"] for row in read_metrics(run / "metrics.jsonl")]
    assert learned == [1, 2, 3, 4, 5]


@pytest.mark.gpu
def test_a_policy_is_evaluated_on_the_device(tmp_path):
    run = train(config(run_dir=str(tmp_path / "run")))
    result = evaluate(run, EvaluationConfig(episodes=4))
    assert result["arithmetic"]["device"] == "cuda"
    assert result["arithmetic"]["core_kernel"] == "triton"
    assert len(result["episodes"]["return"]) == 4


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_an_upload_arrives_whole(device):
    uploader = Uploader(torch.device(device))
    array = np.random.default_rng(0).integers(0, 256, (B, 4, 84, 84), dtype=np.uint8)
    target = torch.zeros(3, B, 4, 84, 84, dtype=torch.uint8, device=device)
    uploader.begin()
    uploader.write(target[1], array)
    uploader.wait()
    assert torch.equal(target[1].cpu(), torch.from_numpy(array))
    assert not target[[0, 2]].any()


@pytest.mark.gpu
def test_no_upload_overwrites_one_on_its_way():
    uploader = Uploader(torch.device("cuda"))
    arrays = [np.full((256, 4, 84, 84), i, dtype=np.uint8) for i in range(20)]
    targets = torch.zeros(20, 256, 4, 84, 84, dtype=torch.uint8, device="cuda")
    for target, array in zip(targets, arrays, strict=True):
        uploader.write(target, array)
    uploader.wait()
    for i, target in enumerate(targets):
        assert (target == i).all()
    torch.cuda.synchronize()
    uploader.write(targets[0], arrays[7])
    uploader.wait()
    assert (targets[0] == 7).all()
    assert sum(len(ring) for ring in uploader._rings.values()) <= 20
