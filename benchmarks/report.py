"""What a benchmark found, and how it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One measured value. Without a target it only explains the others."""

    what: str
    measured: float
    unit: str
    target: float | None = None
    undisturbed: float | None = None
    """The same from the fastest runs alone, which other work on the machine disturbed least."""

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return "met" if self.measured <= self.target else "MISSED"

    @property
    def cells(self) -> tuple[str, ...]:
        target = "" if self.target is None else f"at most {self.target:g} {self.unit}"
        fastest = "" if self.undisturbed is None else f"{self.undisturbed:.2f} {self.unit}"
        return (self.what, f"{self.measured:.2f} {self.unit}", target, self.verdict, fastest)


@dataclass
class Report:
    """The rows of one benchmark and what exactly was measured."""

    title: str
    method: str
    rows: list[Row] = field(default_factory=list)
    load: Sequence[float] = ()
    """Load average of the machine before and after."""

    def __str__(self) -> str:
        header = ("what", "measured", "target", "", "fastest runs")
        lines = [header, *(row.cells for row in self.rows)]
        widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
        drawn = [
            f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
            for line in lines
        ]
        drawn.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
        load = " → ".join(f"{value:.1f}" for value in self.load)
        ending = f"\n\nLoad average while it ran: {load}." if load else ""
        return f"## {self.title}\n{self.method}\n\n" + "\n".join(drawn) + ending
