"""Seeds of environments that each have their own."""


def game_seeds(seed: int, num_envs: int) -> list[int]:
    """Returns seed, seed + 1, ... one per environment, folded into the 31 bits envpool accepts."""
    return [(seed + i) % 2**31 for i in range(num_envs)]
