"""Agents: how policies are trained, recorded and judged."""
