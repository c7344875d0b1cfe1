"""What goes to the process that judges, and what comes back. Standard library only: both environments import it."""

from dataclasses import dataclass

from shared.measure.timing import Timings

JOB, EVIDENCE = "job.json", "evidence.json"


@dataclass(frozen=True)
class Job:
    """`models` has the folder of each row's file, an absolute path; `reference` names the one that is loaded twice.

    The answers of a row go to a folder with its name beside the job.
    """

    models: dict[str, str]
    reference: str
    dataset: str
    rounds: int
    calls: int


@dataclass(frozen=True)
class Evidence:
    """`failed` has the rows whose file could not be run, with the reason; the others were timed at batch 1 and more."""

    failed: dict[str, str]
    timings: Timings
