"""What the display shows of a run of an agent."""

LAG = "learner/lag_updates"
SHOWN = (
    ("return/last_100_games_points", "return of last 100 games", "{:.2f}"),
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
