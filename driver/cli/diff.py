"""`diff`: two runs side by side."""

from dataclasses import asdict
from typing import Any

from driver.analysis.results import Variant
from driver.cli.arguments import Diff
from driver.cli.console import make_output
from driver.comparison import run_diff
from driver.comparison.run_diff import Run
from driver.report import diff


def run(arguments: Diff) -> int:
    """Return 0, whatever the difference is: the reader decides."""
    output = make_output(arguments.display)
    before, after = run_diff.load(arguments.before), run_diff.load(arguments.after)
    if output.json:
        output.print_json(describe(before, after))
    else:
        diff.show(before, after, output.answer)
    return 0


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
