"""Tasks with known answers, to judge a core by itself: no environment, no reward."""
