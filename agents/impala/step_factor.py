"""What the step size is multiplied by, so that the policy moves about as far as it should.

How far a step of Adam moves a policy depends on its features, and so on its core and on how much
it has learned. A step that suits one is too large for another: the policy jumps, and what it had
learned is lost.

Source: the adaptive schedule of rsl_rl (Rudin et al. 2021, https://arxiv.org/abs/2109.11978), and
of rl_games; there after every minibatch, here after every rollout, whose first and last passes
are compared anyway.
"""

CHANGE = 1.5
TOLERANCE = 2.0
LEAST, MOST = 1 / 32, 2.0


def next_factor(factor: float, divergence: float, desired: float) -> float:
    """Returns the factor of the next rollout.

    Args:
        factor: of the last rollout.
        divergence: KL in nats by which it moved the policy, from its first pass to its last.
        desired: what that should be, within a factor of 2.
    """
    if divergence > desired * TOLERANCE:
        factor /= CHANGE
    elif divergence < desired / TOLERANCE:
        factor *= CHANGE
    return min(max(factor, LEAST), MOST)
