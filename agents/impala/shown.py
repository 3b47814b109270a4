"""What the display shows of a run of an agent, and the tags that others ask for."""

RETURN_TAG = "return/last_100_games_points"
GAMES_IN_MEAN = 100  # of RETURN_TAG
LAG = "learner/lag_updates"
SHOWN = (
    (RETURN_TAG, "return of last 100 games", "{:.2f}"),
    ("games", "games ended", "{:,}"),
    ("loss/entropy", "entropy", "{:.3f}"),
    ("share/env", "time in env", "{:.0%}"),
    ("share/inference", "inference", "{:.0%}"),
    ("share/learner", "learner", "{:.0%}"),
    ("share/core", "of that core", "{:.0%}"),
    (LAG, "lag, updates", "{:.1f}"),
    ("loss/policy", "policy loss", "{:.4f}"),
    ("loss/value", "value loss", "{:.4f}"),
)
"""What the display shows of a row, in the order of worth."""
