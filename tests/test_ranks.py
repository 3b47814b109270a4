"""N ranks learn what one learns with the whole batch: exactly in float64, and live."""

import dataclasses
import pickle
from contextlib import closing

import numpy as np
import pytest
import torch

from agents.impala.config import LearnerConfig
from agents.impala.crews import Share
from agents.impala.learner import Learner
from agents.impala.minibatches import draw_minibatches
from agents.impala.rollout import Rollout
from agents.impala.trainer import Trainer
from envs.spec import EnvSpec
from experiment.ranks import ALONE, Ranks
from models.cores import CoreConfig
from models.cores.registry import CORES
from models.encoders import EncoderConfig
from models.policy import Policy, PolicyConfig
from tests.rank_runs import call_in_ranks
from tests.small_runs import CONFIG

SPEC = EnvSpec(
    game="recorded",
    observation_shape=(6,),
    observation_dtype="float32",
    num_actions=3,
    frame_skip=1,
)
T, B, GROUPS = 4, 8, 4
LEARNERS = {
    "surrogate": LearnerConfig(
        unroll_length=T,
        batch_size=B,
        num_passes=2,
        num_minibatches=2,
        optimizer="adam",
        max_gradient_norm=0.05,  # less than any gradient: all are clipped
        reduction="mean",
        policy_loss="surrogate",
        normalise_advantages=True,
        learning_rate=1e-3,
    ),
    "plain": LearnerConfig(unroll_length=T, batch_size=B, num_passes=4, reduction="sum"),
}
NUM_ROLLOUTS = 5  # of four updates
OF_EACH = {"loss/information"}  # a mean over ranks of what each has by itself
QUICK = [("rdn", "surrogate"), ("rdn", "plain")]
LONG = [(kind, "surrogate") for kind in CORES]


def recorded(seed, policy):
    """Returns a rollout of B environments in float64 whose valid rows are not spread evenly."""
    rng = torch.Generator().manual_seed(seed)
    state = tuple(s.double() for s in policy.initial_state(B))
    rollout = Rollout.allocate(SPEC, T, B, state, torch.device("cpu"))
    rollout.core_state = state
    rollout.observation = torch.randn(T + 1, B, 6, generator=rng, dtype=torch.float64)
    rollout.last_reward = torch.randn(T + 1, B, generator=rng, dtype=torch.float64)
    rollout.last_action = torch.randint(3, (T + 1, B), generator=rng)
    rollout.start = torch.rand(T + 1, B, generator=rng) < 0.2
    rollout.action = torch.randint(3, (T, B), generator=rng)
    rollout.behaviour_log_prob = -torch.rand(T, B, generator=rng, dtype=torch.float64) - 0.5
    rollout.reward = torch.arange(B) + torch.randn(T, B, generator=rng, dtype=torch.float64)
    rollout.discount = torch.full((T, B), 0.9, dtype=torch.float64)
    rollout.value = torch.full((T + 1, B), torch.nan, dtype=torch.float64)
    rollout.log_prob = torch.full((T, B), torch.nan, dtype=torch.float64)
    rollout.valid = torch.rand(T, B, generator=rng) < torch.linspace(0.2, 1.0, B)
    return rollout


def learned(ranks, kind, learner_config):
    """Returns the clipped gradient of one update, and weights and metrics after twenty."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_heads": 2, "num_layers": 1, "feedforward_size": 8}
    core = CoreConfig(kind=kind, kernel="reference", **sizes)
    encoder = EncoderConfig(kind="mlp", size=8)
    with_extras = learner_config.policy_loss == "surrogate"
    sees = PolicyConfig(centre_features=with_extras, skip_core=with_extras)
    policy = Policy((6,), "float32", 3, encoder, core, sees).double()
    learner = Learner(
        policy,
        learner_config,
        total_frames=100 * T * B,
        frames_per_rollout=T * B,
        generator=torch.Generator().manual_seed(1),
        num_groups=GROUPS,
        ranks=ranks,
    )
    own = B // ranks.size
    columns = torch.arange(ranks.rank * own, (ranks.rank + 1) * own)
    learner._gradients(recorded(0, policy).select(columns))
    gradient = torch.cat([p.grad.flatten() for p in policy.parameters()])
    rows = [learner.learn(recorded(seed, policy).select(columns)) for seed in range(NUM_ROLLOUTS)]
    assert learner.version == 4 * NUM_ROLLOUTS
    weights = torch.cat([value.flatten() for value in policy.state_dict().values()])
    return gradient.numpy(), weights.numpy(), rows


def learned_in_all(ranks, cases):
    return [learned(ranks, kind, LEARNERS[name]) for kind, name in cases]


def check_equal_for_every_size(cases, sizes):
    """Asserts that each of so many ranks learns what one learns with the whole batch."""
    whole = learned_in_all(ALONE, cases)
    for size in sizes:
        of_ranks = call_in_ranks(size, learned_in_all, cases)
        for expected, *others in zip(whole, *of_ranks, strict=True):
            for found in others:
                check_equal(found, expected)
                assert (found[1] == others[0][1]).all()  # the ranks' weights, bit for bit


def check_equal(found, expected):
    """Asserts that gradient, weights and metrics are the same, each of some size."""
    for name, a, b in zip(("gradient", "weights"), found, expected, strict=False):
        assert abs(b).max() > 1e-4, name
        assert abs(a - b).max() < 1e-9, name  # false for NaN too
    for row, its_row in zip(expected[2], found[2], strict=True):
        its_row, row = ({k: v for k, v in r.items() if k not in OF_EACH} for r in (its_row, row))
        assert its_row == pytest.approx(row, rel=1e-9, abs=1e-9)


@pytest.mark.usefixtures("one_thread")
def test_ranks_learn_what_one_learns_with_the_whole_batch():
    check_equal_for_every_size(QUICK, (2,))


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_ranks_learn_what_one_learns_with_every_core():
    check_equal_for_every_size(LONG, (2, 4))


ROLLOUTS = 3
LIVE = dataclasses.replace(
    CONFIG, num_groups=4, learner=dataclasses.replace(LEARNERS["surrogate"], learning_rate=1e-2)
)
ASYNC = dataclasses.replace(LIVE, mode="async", exact_lag=1)


def trained(trainer, num_rollouts=ROLLOUTS):
    """Returns the weights after some rollouts, whose metrics are added to the trainer's row."""
    with closing(trainer.rows()) as rows:
        for _ in range(num_rollouts):
            next(rows)
    return torch.cat([p.detach().flatten() for p in trainer.policy.parameters()]).numpy()


def lived(ranks, saved=None):
    """Returns what this rank's environments and learner do, live, in float32."""
    found = {}
    with closing(Trainer(LIVE, ranks=ranks)) as trainer:
        found["actions"] = trainer.collect_one().action.numpy()
    for name, config in (
        ("serial", LIVE),
        ("again", LIVE),
        ("async", ASYNC),
        ("async again", ASYNC),
    ):
        with closing(Trainer(config, ranks=ranks)) as trainer:
            found[name] = trained(trainer)
            state = trainer.state_dict()
            row = trainer.take_row(1.0)
            if name == "serial":
                found["saved"] = pickle.dumps((state, trainer.weights()))
                found["games"] = row["games"]
                found["gone on"] = trained(trainer)
    if saved is not None:
        state, weights = pickle.loads(saved)
        with closing(Trainer.restored(LIVE, state, weights, ranks=ranks)) as trainer:
            found["resumed"] = trained(trainer)
    return found


@pytest.fixture(scope="module")
def live():
    """What ranks do live, by their number; those of four go on with what two saved."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    of_two = call_in_ranks(2, lived)
    saved = of_two[0]["saved"]
    found = {1: [lived(ALONE, saved)], 2: of_two, 4: call_in_ranks(4, lived, saved)}
    torch.set_num_threads(before)
    return found


def test_the_first_actions_are_the_same_for_every_number_of_ranks(live):
    of = {size: np.concatenate([f["actions"] for f in found], 1) for size, found in live.items()}
    assert (of[2] == of[1]).all()
    assert (of[4] == of[1]).all()
    assert len(np.unique(of[1])) > 1


@pytest.mark.parametrize("mode", ["serial", "async"])
def test_the_same_number_of_ranks_learns_the_same_bits(live, mode):
    again = "again" if mode == "serial" else "async again"
    for found in live.values():
        for of_rank in found:
            assert (of_rank[mode] == of_rank[again]).all()
            assert (of_rank[mode] == found[0][mode]).all()


@pytest.mark.parametrize("mode", ["serial", "async"])
def test_every_number_of_ranks_learns_the_same_live(live, mode):
    moved = abs(live[1][0][mode]).max()
    for found in live.values():
        assert abs(found[0][mode] - live[1][0][mode]).max() < 1e-5 * moved


def test_all_ranks_have_the_games_of_all(live):
    games = [sorted(found[0]["games"]) for found in live.values()]
    assert games[0] == games[1] == games[2]
    assert len(games[0]) > 4


def test_another_number_of_ranks_goes_on_where_the_last_stood(live):
    expected = live[2][0]["gone on"]
    assert (expected != live[2][0]["serial"]).any()
    for size in (1, 4):
        for of_rank in live[size]:
            assert abs(of_rank["resumed"] - expected).max() < 1e-5 * abs(expected).max()


def test_groups_that_cannot_be_dealt_out_are_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"num_groups \(4\) must be a multiple .* \(3\)"):
        Share.of(LIVE, Ranks(size=3))


def test_a_minibatch_has_as_much_of_every_group_whoever_has_it():
    def drawn(ranks, batch_size):
        rng = torch.Generator().manual_seed(5)
        return draw_minibatches(LIVE.learner, batch_size, rng, num_groups=GROUPS, ranks=ranks)

    whole = drawn(ALONE, B)
    assert whole.shape == (2, 2, 4)
    size = B // GROUPS
    assert ((whole // size).sort(-1).values == torch.arange(GROUPS)).all()
    assert (whole.flatten(1).sort(-1).values == torch.arange(B)).all()
    parts = [drawn(Ranks(rank=r, size=2), B // 2) + r * B // 2 for r in range(2)]
    assert (torch.cat(parts, -1) == whole).all()
