"""What a run's provenance says of its code and machines: where it began, and was resumed since."""

from typing import Any

from comparison.run_record import RunRecord

ARITHMETIC = {
    "encoder_precision": "encoder",
    "dense_precision": "dense layers",
    "core_kernel": "kernel",
}
"""What a run records of its arithmetic beside the device, and the words for it."""


def sessions(run: RunRecord) -> list[dict[str, Any]]:
    """Returns what was recorded where a run began, and each time that it was resumed."""
    resumed = run.origin.get("resumed")
    later = resumed if isinstance(resumed, list) else []
    return [run.origin, *(session for session in later if isinstance(session, dict))]


def commits(run: RunRecord) -> list[str]:
    """Returns the commits that a run was made at, shortened."""
    return _distinct([str(of["commit"])[:7] for of in sessions(run) if "commit" in of])


def source_hashes(run: RunRecord) -> list[str]:
    """Returns the versions of the code that a run was made by, shortened."""
    return _distinct([str(of["source_hash"])[:8] for of in sessions(run) if "source_hash" in of])


def changed_settings(run: RunRecord) -> list[str]:
    """Returns the settings, by full name, that a run was resumed with other values of."""
    changes = [session.get("changed") for session in sessions(run)]
    return _distinct([str(name) for of in changes if isinstance(of, dict) for name in of])


def machines(run: RunRecord) -> list[str]:
    """Returns the processors and GPUs that a run names, or "unknown"."""
    return _distinct([_machine(session.get("hardware")) for session in sessions(run)])


def arithmetic(run: RunRecord) -> list[dict[str, Any]]:
    """Returns what each session computed with, where known; feedforward has no core_kernel."""
    used = [session.get("arithmetic") for session in sessions(run)]
    return [of for of in used if isinstance(of, dict)]


def arithmetic_names(run: RunRecord) -> list[str]:
    """Returns the devices, encoder precisions and kernels of a run, or "not recorded"."""
    return _distinct([_arithmetic_name(session.get("arithmetic")) for session in sessions(run)])


def _machine(hardware: object) -> str:
    if not isinstance(hardware, dict):
        return "unknown"
    parts = [f"{hardware.get('cores')} cores of {hardware.get('cpu')}", hardware.get("gpu")]
    return ", ".join(str(part)[:100] for part in parts if part)


def _arithmetic_name(used: object) -> str:
    if not isinstance(used, dict):
        return "not recorded"
    parts = [used.get("device")]
    for name, word in ARITHMETIC.items():
        parts += [f"{word} {used[name]}"] if used.get(name) else []
    return ", ".join(str(part)[:100] for part in parts if part)


def _distinct(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))
