"""The crews of one rank: actors that take turns in one thread and fill one rollout together.

The batch is divided into `num_groups` equal groups of environments, each with its own seeds and its
own stream of actions. A rank has the groups of its number, so that what a group does is the same
however many ranks there are.
"""

from dataclasses import dataclass

import torch

from agents.impala.actor import Actor
from agents.impala.config import TrainConfig
from envs import make_env
from envs.spec import VecEnv
from experiment.ranks import ALONE, Ranks
from experiment.seeding import derive_seed
from models.policy import Policy

Crew = list[Actor]


@dataclass(frozen=True, slots=True)
class Share:
    """The part of the batch that is one rank's.

    Args:
        groups: numbers of its groups, among those of all ranks.
        group_size: environments in a group.
    """

    groups: range
    group_size: int

    @classmethod
    def of(cls, config: TrainConfig, ranks: Ranks = ALONE) -> "Share":
        """Returns a rank's share.

        Raises:
            ValueError: the groups cannot be dealt out evenly.
        """
        refuse_uneven(config, ranks.size)
        own = config.num_groups // ranks.size
        groups = range(ranks.rank * own, (ranks.rank + 1) * own)
        return cls(groups, config.learner.batch_size // config.num_groups)

    @property
    def batch_size(self) -> int:
        """Environments in a rollout of this rank."""
        return len(self.groups) * self.group_size


def refuse_uneven(config: TrainConfig, num_ranks: int) -> None:
    """Raises ValueError where ranks would not have the same number of whole groups."""
    if config.num_groups % num_ranks:
        raise ValueError(
            f"num_groups ({config.num_groups}) must be a multiple of the number of processes "
            f"({num_ranks}), which have whole groups each; try --num_groups {num_ranks}"
        )


def make_envs(config: TrainConfig, share: Share, crew: int, num_learned: int) -> list[VecEnv]:
    """Returns a crew's environments, by group; their games begin where `num_learned` says."""
    return [
        make_env(
            config.game,
            config.env,
            share.group_size,
            derive_seed(config.seed, "env", crew, group, num_learned),
        )
        for group in share.groups
    ]


def make_crew(
    config: TrainConfig,
    share: Share,
    envs: list[VecEnv],
    policy: Policy,
    *,
    crew: int,
    num_learned: int,
    device: torch.device,
) -> Crew:
    """Returns the actors of a crew's environments, which share a policy.

    Args:
        config: every setting of the run.
        share: of this rank.
        envs: by group.
        policy: that acts.
        crew: number of the crew.
        num_learned: rollouts learned before; the streams of actions begin where it says.
        device: of the policy.
    """
    size = share.group_size
    return [
        Actor(
            env,
            policy,
            columns=slice(place * size, (place + 1) * size),
            discount=config.learner.discount,
            generator=generator(
                derive_seed(config.seed, "actions", crew, group, num_learned), device
            ),
        )
        for place, (group, env) in enumerate(zip(share.groups, envs, strict=True))
    ]


def generator(seed: int, device: torch.device) -> torch.Generator:
    """Returns a random stream."""
    return torch.Generator(device).manual_seed(seed)
