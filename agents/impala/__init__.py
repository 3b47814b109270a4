"""IMPALA: actors that collect rollouts and a learner that corrects for their lag with V-trace."""
