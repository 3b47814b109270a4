"""Recurrences over a whole unroll, one call each: a public operator per folder.

`reference.py` in a folder is its meaning in plain torch; the other files compute the same,
faster. `dispatch.py` chooses between them and says why.
"""
