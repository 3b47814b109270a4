"""CartPole with its velocities hidden: a memory must tell which way cart and pole are moving."""

import gymnasium


def make(render_mode=None):
    """Returns one environment; it sees the cart's position and the pole's angle."""
    env = gymnasium.make("CartPole-v1", render_mode=render_mode)
    seen = gymnasium.spaces.Box(env.observation_space.low[::2], env.observation_space.high[::2])
    return gymnasium.wrappers.TransformObservation(env, lambda x: x[::2], seen)
