"""What the page says of the same files on other CPUs."""

from driver.analysis import metric_specs
from driver.analysis.facts import CannotRun
from driver.analysis.results import Comparison, Emulated, Variant
from driver.report import columns, phrases
from driver.report.page.tables import Loss


def runs(comparison: Comparison) -> list[tuple[Variant, Emulated]]:
    return [(row, run) for row in comparison.variants for run in row.emulated]


def refusals(comparison: Comparison) -> list[tuple[str, str]]:
    """The name of each variant that another CPU can't run, and why."""
    warnings = [(row.name, warning) for row in comparison.variants for warning in row.warnings]
    return [
        (name, phrases.row_warning_text(warning, comparison.unit))
        for name, warning in warnings
        if isinstance(warning, CannotRun)
    ]


def outcome(row: Variant, run: Emulated) -> Loss:
    """The outcome in words, since not everyone sees marks and colours."""
    if run.agreement is None:
        lost = f"worse by {metric_specs.spec_of(row.headline).bare(run.lost)}"
        return Loss("lost", lost) if run.loses else Loss("kept", "no loss that matters")
    differing = round((1 - run.agreement) * run.images)
    if run.loses:
        return Loss("lost", f"loses {100 * (run.here - run.value):.2f} points")
    if differing:
        return Loss(
            "changed", f"{differing:,} answer{' differs' if differing == 1 else 's differ'}, no significant loss"
        )
    return Loss("kept", "every answer kept")


def sentence(comparison: Comparison) -> str:
    """How many lose, of how many."""
    emulated = runs(comparison)
    losing = sum(run.loses for _, run in emulated)
    if not losing:
        return (
            f"None of these {len(emulated)} runs loses significantly."
            if len(emulated) > 1
            else "It loses nothing there."
        )
    verb = "loses" if losing == 1 else "lose"
    test = "McNemar's exact test" if columns.headline(comparison).counted else "paired bootstrap"
    return f"{losing} of {len(emulated)} runs {verb} significantly ({test}, p < 0.05)."
