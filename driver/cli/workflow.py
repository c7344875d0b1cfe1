"""What the commands share: an experiment from its name, its plan, the artifacts of a run, and its comparison."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from driver.analysis import fingerprint
from driver.analysis.results import Baseline, CheckBaseline, Comparison
from driver.catalog import declarations
from driver.cli import older_volume, run_progress
from driver.cli.arguments import BaselineOptions, EngineOptions
from driver.cli.console import Output, Terminal, make_console, print_line, shorten_path
from driver.cli.run_progress import RunProgress
from driver.comparison import publication
from driver.engines import available_images, execute
from driver.engines.base import Engine
from driver.experiment import loader, yaml_source
from driver.experiment.model import Experiment
from driver.host import facts
from driver.inputs import fetching
from driver.plan import schedule
from driver.report import terminal
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.contract import Plan, encode, read_if_whole
from shared.errors import CrossquantError

if TYPE_CHECKING:
    from shared.data.samples import About  # NumPy takes a tenth of a second to import

DEFAULT_ENGINE = EngineOptions()
log = logging.getLogger(__name__)


class Made(NamedTuple):
    """What came of a run of the plan.

    `failed`: did a stage fail, or was it skipped because one did? `worked`: was anything not up to date?
    """

    freshness: Freshness
    failed: bool
    worked: bool


def load_experiment(
    name: str, options: EngineOptions = DEFAULT_ENGINE, *, looks_back: bool = False, warn: bool = True
) -> Experiment:
    """The experiment of this name or file, with the optional images that take part.

    `looks_back`: with those of the last plan, too. `warn`: say on stderr which keys of the file have new names.
    """
    path = loader.find(name)
    log.debug("experiment: %s", path)
    for line in loader.list_deprecations(path) if warn else ():
        make_console(stderr=True).print(line, soft_wrap=True, highlight=False, markup=False, style="yellow")
    data, _ = yaml_source.load(path)
    data = data if isinstance(data, dict) else {}
    images = available_images.select_optional(options.images, data.get("recipes"), options.engine)
    if looks_back:
        images = tuple(dict.fromkeys((*images, *available_images.list_planned(str(data.get("name", ""))))))
    experiment = replace(loader.load(path, declarations.load(images)), images=images)
    return loader.trust_model(experiment) if options.trust else experiment


def make_artifacts(
    experiment: Experiment, targets: Sequence[str], options: EngineOptions, output: Output, *, sample: bool
) -> Made:
    """Run the plan."""
    message = older_volume.set_aside(experiment.name)
    with execute.lock(experiment.name), output.open_terminal() as terminal:
        if message:
            terminal.warn(message)
        freshness = prepare_inputs(experiment, sample, terminal)
        steps = schedule.select(freshness.plan, targets)
        if options.force or not all(map(freshness.done, steps)):  # else there is nothing to estimate
            terminal.expect(RunProgress(steps, run_progress.read_earlier_seconds(freshness.plan, steps)))
        engines: list[Engine] = []

        def start_engine() -> Engine:
            engines.append(choose_engine(options, experiment, freshness.plan.own_model, terminal))
            return engines[0]

        failed = execute.run(freshness, steps, start_engine, terminal, options.force)
        for line in fetching.list_doubtful(experiment) if failed else ():
            terminal.warn(line)
        return Made(freshness, failed, bool(engines))


def prepare_inputs(experiment: Experiment, sample: bool, terminal: Terminal) -> Freshness:
    """Fetch the inputs, and write the plan that the stage runners read. A damaged copy of an input is fetched again."""
    fetched = fetching.fetch(experiment, sample, terminal.say, terminal.download)
    freshness = Freshness(make_plan(experiment, fetched.locations))
    if damaged := [name for name in fetched.locations if freshness.manifest(name) is None]:
        terminal.say(f"damaged on the volume: {', '.join(damaged)}; fetching it again")
        fetched = fetching.fetch(experiment, sample, terminal.say, terminal.download, damaged)
        freshness = Freshness(make_plan(experiment, fetched.locations))
    if fetched.sample and not sample:
        terminal.say("no source of the full data set answers: going on with the embedded sample")
    write_plan(experiment, freshness)
    return freshness


def make_plan(experiment: Experiment, inputs: dict[str, str]) -> Plan:
    """The plan of the experiment. `inputs` has the folder of each input artifact below the volumes' root."""
    return schedule.make(experiment, declarations.load(experiment.images), inputs, facts.cores())


def write_plan(experiment: Experiment, freshness: Freshness) -> None:
    """Write the plan of `freshness`, which from here on says whether model and data are the project's own."""
    own = loader.is_own(experiment, freshness.manifest(fetching.MODEL))
    freshness.plan = replace(freshness.plan, own_model=own)
    path = store.plan_path(experiment.name)
    store.write_atomically(path, encode(freshness.plan))
    log.debug("plan: %s; own model and data: %s", path, own)


def make_current_plan(experiment: Experiment) -> Plan:
    """The plan of today's code and experiment on the inputs that the last `fetch` left, or is going to leave."""
    before = read_if_whole(Plan, store.plan_path(experiment.name))
    written = before.locations if before else fetching.list_locations(experiment, sample=False)
    return make_plan(experiment, {key: folder for key, folder in written.items() if key.startswith("input.")})


def describe_power(plan: Plan, samples: int, unit: str, about: "About") -> str:
    """What so many test samples can show of the variants of a plan, in a sentence; "" where that isn't known yet.

    `about` describes the samples.
    """
    from driver.analysis.assessment import plan_smallest_loss  # SciPy takes half a second to import
    from driver.report import decision_phrases

    variants = sum(
        step.output == f"predictions.{step.inputs[0]}" and not step.draw for step in plan.steps if step.inputs
    )
    candidates = max(variants - 1, 1)  # all but the reference
    smallest = plan_smallest_loss(samples, candidates, about)
    return decision_phrases.planned_loss_sentence(smallest, unit, candidates)


def list_explainable(plan: Plan) -> list[str]:
    """The quantized variants of the plan for which it has a step `explain`."""
    variants = [step.inputs[0] for step in plan.steps if step.run == "explain"]
    return [variant for variant in variants if not variant.endswith(".fp32")]


def choose_engine(options: EngineOptions, experiment: Experiment, own: bool, terminal: Terminal) -> Engine:
    """The engine that was asked for; for `auto`, Docker where a daemon answers.

    `own`: are model and data the project's own?
    """
    if options.engine == "docker" and options.no_sandbox:
        raise CrossquantError("--no-sandbox is of the venv engine, a container has no such switch: leave it out")
    if options.engine == "venv":
        return choose_venv_engine(experiment, own, options.no_sandbox, terminal)
    from driver.engines.docker import DockerEngine  # the Docker SDK takes a quarter of a second to import

    try:
        return DockerEngine(experiment.limits)
    except CrossquantError:
        if options.engine == "docker":
            raise
    terminal.say("no Docker daemon answers: using virtual environments; `make docker-host` sets Docker up")
    return choose_venv_engine(experiment, own, options.no_sandbox, terminal)


def choose_venv_engine(experiment: Experiment, own: bool, no_sandbox: bool, terminal: Terminal) -> Engine:
    """The venv engine, in bubblewrap unless the user says otherwise. Without bubblewrap it runs the project's own model
    and data only: others may be hostile, and CrossquantError says what they need.
    """
    from driver.engines import bubblewrap  # neither is needed where all is fresh
    from driver.engines.venv import VenvEngine

    if no_sandbox:
        if not own:
            terminal.warn(
                f"warning: --no-sandbox: code in the model or the data of '{experiment.name}' can do all you can"
            )
        return VenvEngine(experiment.limits, terminal.say, None)
    trial = bubblewrap.try_sandbox()
    if trial.command:
        return VenvEngine(experiment.limits, terminal.say, trial)
    if not own:
        fix = f"`{trial.fix}`, or start Docker" if trial.fix else "start Docker"
        raise CrossquantError(
            f"'{experiment.name}' has a model or data that are not the project's own, which run in a sandbox alone, "
            f"and {trial.lack}: {fix}"
        )
    terminal.say(f"{trial.lack}: the project's own model and data run without a sandbox")
    return VenvEngine(experiment.limits, terminal.say, None)


def prepare_baseline(options: BaselineOptions, experiment: str) -> CheckBaseline:
    """What checks a comparison of the experiment against the run that the options name. Where that can't be read, or a
    limit is none, CrossquantError says so before anything is run.
    """
    if not options.baseline and not options.fail_on:
        return lambda _: None
    from driver.comparison import baseline, run_diff  # SciPy takes half a second to import

    limits = baseline.parse_limits(options.fail_on)
    if not options.baseline or not limits:
        raise CrossquantError(
            "--baseline and --fail-on go together: the run to compare with, and what may be how much worse, such as "
            f"{baseline.EXAMPLES}"
        )
    folder = store.volumes() / experiment
    if folder.resolve() in [path.resolve() for path in run_diff.list_folders(options.baseline)]:
        raise CrossquantError(
            f"--baseline {options.baseline} is the folder of this run itself: keep a copy of it first"
        )
    before = run_diff.load(options.baseline)

    def check(comparison: Comparison) -> Baseline:
        after = run_diff.read_run(experiment, folder, comparison)
        return baseline.check_against_baseline(before, after, limits)

    return check


def compare_artifacts(
    freshness: Freshness,
    experiment: Experiment,
    file: Path,
    output: Output,
    *,
    junit: str = "",
    check_baseline: CheckBaseline = lambda _: None,
) -> Comparison:
    """Compare and show. An undamaged comparison of the same evidence, with the same baseline, is shown again.

    `file` is the experiment's; `junit` the path of a file for the gates, "" for none.
    """
    folder = publication.locate(experiment.name)
    earlier = read_earlier_comparison(folder, output)
    same = earlier is not None and earlier.evidence == fingerprint.compute_fingerprint(freshness, experiment)
    if earlier is not None and same and earlier.baseline == check_baseline(earlier):
        result = earlier
    else:
        from driver.cli import comparing  # NumPy, SciPy and Matplotlib take two seconds

        text = file.read_text()
        result, contents = comparing.compare_unchanged_evidence(freshness, experiment, text, check_baseline)
        publication.publish(folder, contents)
    if junit:
        from driver.report import junit as junit_report  # few runs write what it makes

        store.write_atomically(Path(junit), junit_report.junit_text(result))
    terminal.show(result, output.answer, verbose=output.verbose)
    output.print_line(f"written to {shorten_path(folder)}/")
    return result


def read_comparison_json(experiment: str) -> str:
    """The text of `comparison.json` as it was published."""
    return (publication.locate(experiment) / publication.JSON).read_text()


def read_earlier_comparison(folder: Path, output: Output) -> Comparison | None:
    """The comparison of an earlier command; None where it has to be made anew. A damaged one is reported."""
    try:
        return publication.read_comparison(folder)
    except publication.DamagedComparison as error:
        print_line(output.progress, f"the comparison was damaged: made anew ({error.finding})")
    except publication.OtherVersion:
        pass
    return None
