"""Making a comparison anew, from evidence that other commands may replace meanwhile."""

from dataclasses import replace

from driver.analysis.artifacts import Evidence
from driver.analysis.evaluation import Evaluation
from driver.analysis.results import CheckBaseline, Comparison
from driver.comparison import compare, looks, page_data
from driver.experiment.model import Experiment
from driver.report import csv_table, files
from driver.report.page import page
from shared.artifacts.freshness import Freshness
from shared.command import format_command
from shared.errors import CrossquantError

ATTEMPTS = 3  # comparisons of evidence that changes meanwhile


def compare_unchanged_evidence(
    freshness: Freshness, experiment: Experiment, text: str, check_baseline: CheckBaseline
) -> tuple[Comparison, dict[str, str]]:
    """The comparison, and the texts of all its files by name. `text` is the experiment's file; `check_baseline` holds
    the comparison against another run.

    No other command replaces the evidence meanwhile: metrics of two runs must not mix. CrossquantError where it is
    replaced all the time.
    """
    replaced = ""
    for _ in range(ATTEMPTS):
        evidence = Evidence(freshness)
        try:
            result = make_comparison(evidence, experiment, text, check_baseline)
        except (OSError, ValueError, CrossquantError):
            replaced = evidence.replaced()
            if not replaced:
                raise
        else:
            replaced = evidence.replaced()
            if not replaced:
                return result
        freshness = Freshness(freshness.plan)
    command = format_command("report", freshness.plan.experiment)
    raise CrossquantError(
        f"another command makes '{replaced}' anew while it is compared: wait for it, then `{command}`"
    )


def make_comparison(
    evidence: Evidence, experiment: Experiment, text: str, check_baseline: CheckBaseline
) -> tuple[Comparison, dict[str, str]]:
    evaluation = Evaluation(evidence, experiment.reference)
    result = compare.compare(evaluation, experiment, looks.record_look(evidence, experiment.reference))
    result = replace(result, baseline=check_baseline(result))
    raw = page_data.collect_page_data(evaluation, text)
    pages = {"comparison.html": page.page_html(result, raw), "changed.csv": csv_table.changed_text(raw.changed)}
    return result, files.texts(result) | pages
