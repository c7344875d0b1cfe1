"""`diff`: two runs side by side."""

from dataclasses import asdict
from typing import Any

from driver.analysis.results import Variant
from driver.cli.arguments import Diff
from driver.cli.console import make_output
from driver.comparison import baseline, run_diff
from driver.comparison.run_diff import Run
from driver.decision.run_outcome import EXIT_CODES
from driver.report import diff


def run(arguments: Diff) -> int:
    """Return 0, whatever the difference is, unless `--fail-on` says what may be how much worse."""
    output = make_output(arguments.display)
    limits = baseline.parse_limits(arguments.fail_on)
    before, after = run_diff.load(arguments.before), run_diff.load(arguments.after)
    checked = baseline.check_against_baseline(before, after, limits) if limits else None
    if output.json:
        output.print_json(describe(before, after) | ({"baseline": asdict(checked)} if checked else {}))
    else:
        diff.show(before, after, output.answer)
        if checked:
            diff.show_baseline(after.comparison, checked, output.answer)
    return 0 if checked is None or checked.holds else EXIT_CODES["worse_than_baseline"]


def describe(before: Run, after: Run) -> dict[str, Any]:
    """What `diff.show` shows, as data. `test` is the paired one of the later run against the earlier one."""
    rows = [{row.name: row for row in run.comparison.variants} for run in (before, after)]
    tests = run_diff.compare_headlines(before, after)
    return {
        "runs": [describe_run(before), describe_run(after)],
        "same_samples": run_diff.same_samples(before, after),
        "variants": [
            {
                "name": name,
                "before": describe_variant(rows[0].get(name)),
                "after": describe_variant(rows[1].get(name)),
                "test": asdict(tests[name]) if name in tests else None,
                "changed": run_diff.count_changed(name, before, after),
            }
            for name in {**rows[0], **rows[1]}
        ],
    }


def describe_run(run: Run) -> dict[str, Any]:
    comparison = run.comparison
    return {
        "name": run.name,
        "dataset": comparison.dataset,
        "versions": comparison.versions,
        "cpu": comparison.host["cpu"],
    }


def describe_variant(row: Variant | None) -> dict[str, Any] | None:
    """The variant's values as data; None where the run has no such variant."""
    if row is None:
        return None
    return {
        "status": row.status,
        "metric": asdict(row.headline) if row.headline else None,
        "size_bytes": row.size_bytes,
        "latency_ms": row.latency_ms.p50 if row.latency_ms else None,
    }
