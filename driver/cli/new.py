"""`new`: a first experiment for a model and data of one's own, as one file to be read and changed by hand."""

import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml

from driver.analysis.metric_specs import METRIC_SPECS
from driver.catalog import declarations
from driver.cli.arguments import New
from driver.cli.console import Output, make_output, shorten_path
from driver.cli.fetch import fetch_inputs
from driver.cli.inspect import format_tensor
from driver.cli.workflow import describe_power, load_experiment, make_artifacts, make_current_plan
from driver.experiment import loader, validation
from driver.experiment.task_specs import DEFAULT_TASK, TASKS, UNLABELLED
from driver.inputs.fetching import MODEL
from driver.plan.expand import DATASET
from shared.artifacts import store
from shared.command import COMMAND, format_command
from shared.contract import Plan
from shared.data import samples, signature
from shared.data.samples import About
from shared.errors import CrossquantError, FieldError, StageError
from shared.text import printable

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
KINDS = {".npz": "npz", ".npy": "npz", ".csv": "table", ".tsv": "table", ".parquet": "table", ".py": "python"}
KINDS |= dict.fromkeys(PICTURES, "folder")
RANKED = ("python", "npz", "table", "folder")  # what a folder with several kinds of files is taken for
LOOKED_AT = 2000  # files of a folder, at most
CLASSES_SHOWN = 5
DOCUMENT = """\
# Made by `{command} new`. Run it: {command} run --experiment {name}
{model}
{data}
# How many training samples calibrate the quantizers; 0: as many as there are, 1000 at most.
calibration: {{images: 0}}

recipes: default  # or `thorough`; docs/quantization.md explains them

# What may be shipped: a variant must be shown to lose no more than this of the reference's metric, at 95 % over all
# variants together, on every target. docs/decision.md explains it.
{tolerance}
targets: [here, haswell]  # this host, and a CPU that has AVX2 and no VNNI, emulated
recommended: [{recommended}]  # the variants to run there too
prefer: latency  # or throughput, size, accuracy: what is best among those that are shown good enough

# What decides the exit code, by the metrics of the task: docs/decision.md lists them.
gates:
  float:
    sqnr: {{min: 40}}  # decibels: how near the converted models are to the reference
{gates}
limits: {{cpus: 2, memory: 4g, stage_seconds: 1800}}
"""


DROP = "    drop_pp: {max: 2.0}  # percentage points below the reference\n"
WORSE = "    worse_percent: {max: 5}  # of the reference's error\n"
NEAR = "    sqnr: {min: 15}  # decibels: without labels, this alone decides what may be shipped\n"
TOLERANCE = "tolerance: 1%  # of the reference's metric; or points of a share, such as 0.5pp"
TOLERANCE_WITHOUT_LABELS = "tolerance: 15dB  # without labels: the least SQNR of a variant's outputs to the reference's"
RECOMMENDED = ("onnx.u8s8-percentile", "onnx.u8s8-reduced", "torch.x86")  # fast here, and those that are safe
GATES = {"drop_pp": DROP, "worse_percent": WORSE, "sqnr": NEAR}  # of these a task gets the first that it has


def run(arguments: New) -> int:
    """Write an experiment for a model that opens and data that fit it, and say what comes next."""
    output = make_output(arguments.display)
    with write_experiment(arguments) as path:
        if arguments.check:
            about = check_inputs(path.stem, arguments, output)
            store.write_atomically(path, write_text(path.stem, arguments, about.task))
        else:
            fetch_inputs(path.stem, output, sample=False)
    output.print_line(f"written: {shorten_path(path)}")
    output.print_line(f"next:    {format_command('run', path.stem)}")
    return 0


def check_inputs(name: str, arguments: New, output: Output) -> About:
    """Show what model and data of the experiment `name` are, and return what there is to know of its samples.

    Both are read as `run` reads them. StageError where a stage refuses them.
    """
    options = replace(arguments.engine_options, force=False)  # --force overwrites the experiment, no artifact
    experiment = load_experiment(name, options)
    targets = find_first_artifacts(make_current_plan(experiment))
    freshness, failed, _ = make_artifacts(experiment, targets, options, output, sample=False)
    if failed:
        raise StageError(
            f"no experiment '{name}' is written: the line above says what must change; a setting that it calls "
            "data.KEY: VALUE is --set KEY=VALUE here"
        )
    for target in targets:
        manifest = freshness.current(target)
        if manifest is not None and manifest.status != "ok":
            raise StageError(f"no experiment '{name}' is written: {target}: {printable(manifest.reason)}")
    folders = {target: store.artifact_path(freshness.plan, target) for target in targets}
    for line in describe_inputs(folders):
        output.print_line(line)
    about = samples.about(folders[DATASET])
    if power := describe_power(freshness.plan, samples.count(folders[DATASET]), about.unit, about):
        output.print_line(f"power:   {power}")
    return about


def find_first_artifacts(plan: Plan) -> list[str]:
    """The test samples, and what is made of the model's file first: this checks that they fit each other."""
    opened = next(step.output for step in plan.steps if MODEL in step.inputs and DATASET in step.inputs)
    return [DATASET, opened]


def describe_inputs(folders: Mapping[str, Path]) -> Iterator[str]:
    """Yield lines on the model and its data, from the folders of their first artifacts."""
    for folder in folders.values():
        if (folder / signature.FILE).exists():
            ends = signature.load(folder)
            inputs, outputs = ("; ".join(map(format_tensor, tensors)) for tensors in (ends.inputs, ends.outputs))
            yield f"model:   {inputs} → {outputs}"
    about = samples.about(folders[DATASET])
    shown = [printable(each) for each in about.classes[:CLASSES_SHOWN]]
    more = f" … {printable(about.classes[-1])}" if len(about.classes) > CLASSES_SHOWN else ""
    classes = f", {len(about.classes)} classes: {', '.join(shown)}{more}" if shown else ""
    yield f"data:    {samples.count(folders[DATASET]):,} test {about.unit}, {about.task}{classes}"


@contextmanager
def write_experiment(arguments: New) -> Iterator[Path]:
    """The experiment as a file in volumes/inputs/, which stays if all that follows goes well.

    CrossquantError where it is there already, what it names isn't, or its data can't be read by any later step.
    """
    path = choose_path(arguments)
    text = write_text(path.stem, arguments)
    check_settings(text)
    before = path.read_text() if path.exists() else None
    store.write_atomically(path, text)
    try:
        yield path
    except BaseException:
        if before is None:
            path.unlink()
        else:
            store.write_atomically(path, before)
        raise


def check_settings(text: str) -> None:
    """CrossquantError for a setting in the experiment's text that `data` doesn't have, or can't have."""
    try:
        loader.parse(yaml.safe_load(text), declarations.load())
    except FieldError as error:
        if error.path[:1] != ("data",):
            raise
        raise CrossquantError(f"--set {'.'.join(error.path[1:])}: {error.problem}") from None


def choose_path(arguments: New) -> Path:
    for path, option in ((arguments.model, "--model"), (arguments.data, "--data")):
        if not path.exists():
            raise CrossquantError(f"{option}: {path} is not there")
    name = arguments.name or derive_name(arguments.model)
    if not re.fullmatch(validation.NAME, name) or name in validation.RESERVED:
        raise CrossquantError(f"--name: '{name}' {validation.NAME_RULE}")
    path = store.volumes() / "inputs" / f"{name}.yaml"
    if path.exists() and not arguments.force:
        raise CrossquantError(f"{path} is there already: change it by hand, give another --name, or --force")
    return path


def write_text(name: str, arguments: New, found_task: str = "") -> str:
    """The text of the file for the experiment `name`. `found_task` is what the labels say, "" where nobody looked."""
    model: dict[str, Any] = {"sources": [{"path": str(arguments.model.resolve())}]}
    if arguments.code:
        model["code"] = str(Path(arguments.code).resolve())
    if arguments.engine_options.trust:
        model["trust"] = True
    data = {"kind": find_kind(arguments.data)} | ({"task": arguments.task} if arguments.task else {})
    data |= dict(map(parse_setting, arguments.settings))
    if data["kind"] == "npz":
        refuse_pickles(arguments.data)
    task = found_task or data.get("task") or (DEFAULT_TASK if data["kind"] == "folder" else "")
    dataset = {"name": f"{name}-data", "sources": [{"path": str(arguments.data.resolve())}]}
    return DOCUMENT.format(
        command=COMMAND,
        name=name,
        model=dump_section({"name": name, "model": model, "dataset": dataset}),
        data="# What the data are, and what is done to them once, before any framework sees them: docs/your-data.md\n"
        + describe_task(task, by_labels=bool(found_task) and "task" not in data)
        + dump_section({"data": data}),
        tolerance=suggest_tolerance(task),
        recommended=", ".join(RECOMMENDED),
        gates=f"  quantized:\n{suggest_gate(task)}" if task in TASKS else "",
    )


def describe_task(task: str, *, by_labels: bool) -> str:
    """A comment: the task with its headline metric, and where it is known from; "" where it isn't known."""
    if task not in TASKS:
        return ""
    spec = METRIC_SPECS[TASKS[task].headline]
    told = " (told by the labels; `task` sets another)" if by_labels else ""
    return f"# Task: {task}{told}. Variants are compared by {spec.label}, {spec.long}: {spec.direction}.\n"


def suggest_tolerance(task: str) -> str:
    """A line of the file. Where the task isn't known, the tolerance is that of the task, which the labels tell."""
    if task == UNLABELLED:
        return TOLERANCE_WITHOUT_LABELS
    return TOLERANCE if task in TASKS else f"# {TOLERANCE}"


def suggest_gate(task: str) -> str:
    """A line for the gates on quantized variants."""
    return next(text for metric, text in GATES.items() if metric in TASKS[task].gates)


def dump_section(section: dict[str, Any]) -> str:
    return str(yaml.safe_dump(section, sort_keys=False, allow_unicode=True, width=1000))


def derive_name(model: Path) -> str:
    """A name for the experiment: the file's, without characters that a name can't have."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", model.name.removesuffix(model.suffix).lower()).strip("-._")
    return f"{plain or 'model'}{'-own' if plain in validation.RESERVED else ''}"


def parse_setting(given: str) -> tuple[str, Any]:
    """`resize=[96, 96]` as key and value, the value as YAML has it."""
    key, equals, value = given.partition("=")
    if not equals or not key:
        raise CrossquantError(f"--set {given}: give KEY=VALUE of the section `data`, such as resize=[96, 96]")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise CrossquantError(f"--set {given}: {' '.join(str(error).split())}") from None


def find_kind(data: Path) -> str:
    """The kind of reader for the data, from the names of the files. CrossquantError where no kind matches."""
    kinds = {KINDS.get(path.suffix.lower()) for path in list_files(data)}
    for candidate in RANKED:
        if candidate in kinds:
            return candidate
    raise CrossquantError(
        f"{data}: no data that is known: give a .npz, a .csv or .parquet, pictures in folders by class, "
        "or a Python file (docs/your-data.md)"
    )


def list_files(data: Path) -> Iterator[Path]:
    """The file `data`, or the first of those in the folder."""
    if data.is_file():
        yield data
        return
    for number, path in enumerate(data.rglob("*")):
        if number >= LOOKED_AT:
            return
        if path.is_file():
            yield path


def refuse_pickles(data: Path) -> None:
    """CrossquantError where an array in `data` holds Python objects: the stage that reads it would refuse it.

    Headers alone are read, as literals. What can't be read as NumPy's format is left to that stage, too.
    """
    for path in list_files(data):
        for name in list_object_arrays(path):
            raise CrossquantError(
                f"{path}: {printable(name)} holds Python objects (a pickle), which could run code: they are never "
                "loaded; save numbers, with one dtype and one shape"
            )


def list_object_arrays(path: Path) -> Iterator[str]:
    """The arrays in a .npz, or a .npy, that are pickles, by the names of their files."""
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                if holds_objects(file):
                    yield path.name
        elif path.suffix.lower() == ".npz":
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    with archive.open(member) as file:
                        if holds_objects(file):
                            yield member
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):  # no archive; encrypted, or packed in another way
        return


def holds_objects(file: IO[bytes]) -> bool:
    """Does the header at the start of `file` say so? False where it is no header."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return bool(read(file)[2].hasobject)
    except Exception:  # noqa: BLE001 - Python's parser passes on what it comes upon: TokenError, MemoryError, …
        return False
