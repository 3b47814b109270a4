"""What is true of one core alone, so that nothing else needs to know it by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .args import complete
from .base import Core
from .config import SIZES, CoreConfig


@dataclass(frozen=True, kw_only=True)
class CoreSpec:
    """A core, as the last line of its file describes it.

    Args:
        make: builds it from complete settings and the features of one input row.
        sizes: the sizes of `CoreConfig` that it uses, each with this core's default.
        args: dataclass of the settings that are its own, `CoreConfig.args`.
        kernel: operator of its recurrence, a folder in `models/kernels`.
        has_state: whether it remembers anything.
        state_names: of the state's tensors of one layer, for films. Fast-weight cores are drawn
            by their matrices instead.
        color: of its curves, on a light ground and on a dark one.
        marker: of its points, as matplotlib names it.
    """

    make: Callable[[CoreConfig, int], Core]
    sizes: Mapping[str, int] = field(default_factory=dict)
    args: type[Any] | None = None
    kernel: str | None = None
    has_state: bool = True
    state_names: tuple[str, ...] = ()
    color: tuple[str, str]
    marker: str

    def resolve(self, config: CoreConfig) -> CoreConfig:
        """Returns complete settings of this core: a value for each that it uses.

        A size that it does not use is None.

        Raises:
            ValueError: sizes that do not fit each other, or an own setting that is not declared.
        """
        sizes: dict[str, int | None] = dict.fromkeys(SIZES)
        for name, default in self.sizes.items():
            given = getattr(config, name)
            sizes[name] = default if given is None else given
        hidden_size, num_heads = sizes["hidden_size"], sizes["num_heads"]
        if hidden_size and num_heads and hidden_size % num_heads:
            raise ValueError(
                f"core.hidden_size must be a multiple of core.num_heads = {num_heads}, "
                f"got {hidden_size}"
            )
        args = complete(config.kind, self.args, config.args)
        return replace(config, args=args, **sizes)  # type: ignore[arg-type]

    @property
    def unused(self) -> set[str]:
        """Shared settings that make no difference to this core."""
        without = {name for name in SIZES if name not in self.sizes}
        without |= {"kernel"} if self.kernel is None else set()
        without |= {"parameters"} if "hidden_size" in without else set()
        return without | (set() if self.has_state else {"bptt"})
