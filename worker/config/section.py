"""What every section of the configuration is: frozen, without unknown keys, checked as a whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, model_validator


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong and what to do, and the keys that it is about (dotted from the root; the first is where it is shown)."""

    keys: tuple[str, ...]
    text: str


class Inconsistent(ValueError):
    """Settings that are right one by one but not together."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.keys[0]}: {fault.text}" for fault in self.faults))


class Section(BaseModel):
    """Unknown keys are faults: a misspelt setting must not be silently ignored. Inputs stay out of errors: they may be secrets."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def faults(self) -> Iterator[Fault]:
        """What does not fit together, though each setting is right alone."""
        yield from ()

    @model_validator(mode="after")
    def _fits_together(self) -> "Section":
        if faults := list(self.faults()):
            raise Inconsistent(faults)
        return self
