"""The checks of numbers that settings share; a field that is null is not checked, NaN fails."""


def refuse_below(settings: object, least: float, *names: str, group: str = "") -> None:
    """Raises ValueError where a setting is less than it may be.

    Args:
        settings: a dataclass of settings.
        least: what each may be at least.
        *names: of its fields.
        group: what full names have before those, such as "learner.".
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value >= least:
            raise ValueError(f"{group}{name} must be >= {least}, got {value}")


def refuse_not_positive(settings: object, *names: str, group: str = "") -> None:
    """Raises ValueError where a setting is not above 0; arguments as of `refuse_below`."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise ValueError(f"{group}{name} must be > 0, got {value}")
