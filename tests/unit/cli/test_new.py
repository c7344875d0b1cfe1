"""An experiment for one's own model and data: written once, understood by `run`, and gone if anything is wrong."""

import gc
import json
import re
from pathlib import Path

import numpy as np
import pytest

from driver.catalog import declarations
from driver.cli import new, workflow
from driver.cli.arguments import Display, EngineOptions, New
from driver.cli.main import main
from driver.engines import bubblewrap
from driver.experiment import loader
from driver.experiment import model as experiments
from driver.experiment.model import Model
from driver.experiment.tolerance import Tolerance
from driver.inputs import user_files
from driver.plan import schedule
from shared.artifacts import store
from shared.contract import Manifest, Plan, read
from shared.data import signature
from shared.data.signature import Signature, Tensor
from shared.emulation import cpus
from shared.errors import CrossquantError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "Mein Modell (v2) ü.keras"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "données"
    for name in ("train/a b/1.png", "train/ü/2.PNG", "test/a b/3.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def make(*arguments: object) -> int:
    """Without opening the model: tests/e2e/test_own.py does that, in containers."""
    return main(["new", "--no-check", *map(str, arguments)])


def load(volumes: Path, name: str) -> experiments.Experiment:
    return loader.load(volumes / "inputs" / f"{name}.yaml", declarations.load())


def test_one_command_leaves_an_experiment_its_inputs_and_a_plan(volumes, model, data, capsys):
    assert make("--model", model, "--data", data) == 0
    experiment = load(volumes, "mein-modell-v2")
    assert (experiment.reference, experiment.options["data"]) == ("keras.fp32", {"kind": "folder"})
    manifest = read(Manifest, volumes / "inputs" / "mein-modell-v2-data" / store.MANIFEST)
    assert sorted(manifest.files) == ["files/test/a b/3.png", "files/train/a b/1.png", "files/train/ü/2.PNG"]
    assert (volumes / "inputs" / "models" / "mein-modell-v2" / model.name).read_bytes() == b"weights"
    steps = [step.output for step in read(Plan, volumes / "mein-modell-v2" / "plan.json").steps]
    assert {"data", "dataset", "keras.fp32", "torch.int8"} <= set(steps)
    assert "next:    ./crossquant run --experiment mein-modell-v2" in capsys.readouterr().out


def test_what_the_command_line_says_is_in_the_file(volumes, model, data, tmp_path):
    code = tmp_path / "layers.py"
    code.write_text("raise SystemExit('the driver must not run this')")
    settings = ["--set", "resize=[96, 96]", "--set", "scale=0.5", "--set", "color=bgr"]
    more = ["--name", "mine", "--task", "fidelity", "--code", code, "--trust", *settings]
    assert make("--model", model, "--data", data, *more) == 0
    experiment = load(volumes, "mine")
    assert experiment.options["data"] == {
        "kind": "folder",
        "task": "fidelity",
        "resize": [96, 96],
        "scale": 0.5,
        "color": "bgr",
    }
    assert (experiment.model.trust, experiment.options["load"]) == (True, {"trust": True})
    assert (volumes / "inputs" / "models" / "mine" / user_files.CODE).read_text() == code.read_text()


@pytest.mark.parametrize(
    ("task", "gate"),
    [
        ("multilabel", "drop_pp"),
        ("regression", "worse_percent"),
        ("reconstruction", "worse_percent"),
        ("fidelity", "sqnr"),
    ],
)
def test_the_gates_are_those_of_the_task(volumes, model, data, task, gate):
    assert make("--model", model, "--data", data, "--name", "mine", "--task", task) == 0
    assert list(load(volumes, "mine").gates.quantized) == [gate]
    wrong = (volumes / "inputs" / "mine.yaml").read_text().replace(f"    {gate}:", "    nothing:")
    (volumes / "inputs" / "mine.yaml").write_text(wrong)
    with pytest.raises(CrossquantError, match=rf"gates\.(float|quantized)\.nothing: unknown key; known are .*{gate}"):
        load(volumes, "mine")


@pytest.mark.parametrize(
    ("task", "gate"), [("classification", "drop_pp"), ("regression", "worse_percent"), ("fidelity", "sqnr")]
)
def test_the_gates_are_those_of_the_task_that_the_labels_tell(model, tmp_path, task, gate):
    data = save_npz(tmp_path / "data", x_train=np.zeros((3, 2)))
    arguments = New(Display(), EngineOptions(), model, data)
    assert "  quantized:" not in new.write_text("mine", arguments)
    assert f"  quantized:\n    {gate}: " in new.write_text("mine", arguments, task)


def write_text(model, data, task="", found=""):
    return new.write_text("mine", New(Display(), EngineOptions(), model, data, task=task), found)


def test_the_task_and_its_headline_metric_are_told(model, tmp_path):
    data = save_npz(tmp_path / "data", x_train=np.zeros((3, 2)))
    line = "Variants are compared by mIoU, intersection over union, the mean of the classes: higher is better."
    found = f"# Task: segmentation (told by the labels; `task` sets another). {line}\ndata:\n"
    assert found in write_text(model, data, found="segmentation")
    assert f"# Task: segmentation. {line}\n" in write_text(model, data, "segmentation", "segmentation")
    assert "# Task:" not in write_text(model, data)


@pytest.mark.parametrize(
    ("task", "found", "tolerance"),
    [
        ("", "classification", Tolerance(1.0, "percent")),
        ("", "regression", Tolerance(1.0, "percent")),
        ("", "fidelity", Tolerance(15.0, "dB")),
        ("multilabel", "", Tolerance(1.0, "percent")),
        ("fidelity", "", Tolerance(15.0, "dB")),
        ("", "", None),
    ],
)
def test_what_may_be_shipped_is_written_down(volumes, model, tmp_path, task, found, tolerance):
    """Without a task the tolerance stands there as a comment: labels that nobody has looked at may be missing."""
    text = write_text(model, save_npz(tmp_path / "data", x_train=np.zeros((3, 2))), task, found)
    (volumes / "inputs").mkdir()
    (volumes / "inputs" / "mine.yaml").write_text(text)
    experiment = load(volumes, "mine")
    assert experiment.tolerance == tolerance
    assert ("\n# tolerance: 1%" in text) is (tolerance is None)
    assert (experiment.targets, experiment.prefer) == (("here", "haswell"), experiments.Prefer("latency"))
    assert experiment.recommended == new.RECOMMENDED
    assert cpus.saturates("haswell"), "as the comment beside it says"
    assert {"tolerance", "targets", "recommended", "prefer"} <= set(re.findall(r"^(?:# )?(\w+):", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["net.keras", "net.onnx"])
def test_the_recommended_variants_are_in_the_plan_and_run_on_the_other_targets(volumes, tmp_path, data, name):
    (tmp_path / name).write_bytes(b"\x08\x08")
    assert make("--model", tmp_path / name, "--data", data) == 0
    steps = {step.output: step for step in read(Plan, volumes / "net" / "plan.json").steps}
    assert set(new.RECOMMENDED) <= set(steps)
    emulated = {step.inputs[0] for step in steps.values() if step.run == "emulate" and step.default}
    assert emulated == set(new.RECOMMENDED)


@pytest.mark.parametrize(("name", "opened"), [("net.keras", "keras.fp32"), ("net.onnx", "exported")])
def test_what_opens_the_model_and_reads_the_data(volumes, tmp_path, data, name, opened):
    (tmp_path / name).write_bytes(b"\x08\x08")
    assert make("--model", tmp_path / name, "--data", data) == 0
    plan = read(Plan, volumes / "net" / "plan.json")
    assert new.find_first_artifacts(plan) == ["dataset", opened]


def test_model_and_data_are_described(tmp_path):
    for name in ("dataset", "keras.fp32"):
        (tmp_path / name).mkdir()
    ends = Signature((Tensor("pixels", "uint8", (8, 8, 3)),), (Tensor("scores", "float32", (7,)),))
    signature.write(ends, tmp_path / "keras.fp32")
    np.save(tmp_path / "dataset" / "input_0.npy", np.zeros((1200, 8, 8, 3), np.uint8))
    about = {"task": "classification", "classes": ["a\x1b[2J", *"bcdefg"], "unit": "images"}
    (tmp_path / "dataset" / "about.json").write_text(json.dumps(about))
    assert list(new.describe_inputs({name: tmp_path / name for name in ("dataset", "keras.fp32")})) == [
        "model:   pixels: uint8 8 x 8 x 3 → scores: float32 7",
        "data:    1,200 test images, classification, 7 classes: a [2J, b, c, d, e … g",
    ]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["a.npz"], "npz"),
        (["x_train.npy", "y_train.npy"], "npz"),
        (["train.csv", "test.csv"], "table"),
        (["all.parquet"], "table"),
        (["load_data.py", "records.tfrecord"], "python"),
        (["load_data.py", "pictures/1.png"], "python"),
        (["cats/1.jpeg", "dogs/2.webp"], "folder"),
    ],
)
def test_the_names_of_the_files_say_what_reads_them(tmp_path, names, kind):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert new.find_kind(tmp_path) == kind


def test_data_of_no_known_kind(tmp_path, model, volumes, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").touch()
    assert make("--model", model, "--data", tmp_path / "data") == 2
    assert "no data that is known: give a .npz, a .csv or .parquet, pictures" in capsys.readouterr().err
    assert not list((volumes / "inputs").glob("*.yaml"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nowhere.keras"], "--model: nowhere.keras is not there"),
        (["--data", "nowhere"], "--data: nowhere is not there"),
        (["--name", "../x"], "--name: '../x' must be lower-case letters"),
        (["--name", "inputs"], "--name: 'inputs' must be lower-case letters"),
        (["--set", "resize"], "--set resize: give KEY=VALUE"),
        (["--set", "resize=[96"], "--set resize=[96: "),
        (["--set", "rezise=[96, 96]"], "--set rezise: unknown key; did you mean resize?"),
        (["--set", "resize=[big]"], "--set resize.0: must be a whole number"),
        (["--code", "nowhere.py"], "nowhere.py is not there"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_stays(volumes, model, data, arguments, message, capsys):
    given = {"--model": model, "--data": data, "--name": "mine"} | dict([arguments])
    assert make(*(word for pair in given.items() for word in pair)) == 2
    assert message in capsys.readouterr().err
    assert not list((volumes / "inputs").glob("*.yaml"))


def test_an_experiment_that_is_there_is_kept_unless_forced(volumes, model, data, capsys):
    own_text = "name: mine # changed by hand"
    (volumes / "inputs").mkdir()
    (volumes / "inputs" / "mine.yaml").write_text(own_text)
    assert make("--model", model, "--data", data, "--name", "mine") == 2
    assert "is there already: change it by hand, give another --name, or --force" in capsys.readouterr().err
    assert make("--model", model, "--data", data, "--name", "mine", "--force", "--set", "rezise=1") == 2
    assert (volumes / "inputs" / "mine.yaml").read_text() == own_text
    assert make("--model", model, "--data", data, "--name", "mine", "--force") == 0
    assert load(volumes, "mine").own_data


@pytest.mark.parametrize("name", ["model.txt", "model.pkl", "model"])
def test_a_file_that_is_no_model(tmp_path, data, name, capsys):
    (tmp_path / name).touch()
    assert make("--model", tmp_path / name, "--data", data) == 2
    assert (
        f"{name} is no model that is known: give .keras, .h5, .hdf5, .onnx or a SavedModel folder"
        in capsys.readouterr().err
    )


def test_a_saved_model_is_a_folder_with_all_its_files(tmp_path, volumes, data):
    for name in ("saved_model.pb", "variables/variables.index", "assets/words.txt"):
        path = tmp_path / "served" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert make("--model", tmp_path / "served", "--data", data) == 0
    manifest = read(Manifest, volumes / "inputs" / "models" / "served" / store.MANIFEST)
    assert sorted(manifest.files) == [
        f"served/{name}" for name in ("assets/words.txt", "saved_model.pb", "variables/variables.index")
    ]
    with pytest.raises(CrossquantError, match=r"is a folder without saved_model\.pb"):
        user_files.model_files(data, Model(()))


def test_an_onnx_file_has_no_keras_rows(tmp_path, volumes, data):
    (tmp_path / "net.onnx").write_bytes(b"\x08\x08")
    assert make("--model", tmp_path / "net.onnx", "--data", data) == 0
    experiment = load(volumes, "net")
    assert experiment.reference == "onnx.fp32"
    plan = schedule.make(experiment, declarations.load(), {"input.model": "m", "input.dataset": "d"}, 2)
    assert not [step.output for step in plan.steps if step.output.startswith("keras.")]
    assert {"latency.keras", "startup.keras", "predictions.keras.fp32"}.isdisjoint(plan.locations)
    assert plan.step("exported").image == "onnx"


def test_every_file_is_part_of_the_hash(volumes, model, data):
    def digest() -> str:
        assert make("--model", model, "--data", data, "--name", "mine", "--force") == 0
        return store.digest(read(Manifest, volumes / "inputs" / "mine-data" / store.MANIFEST))

    first = digest()
    assert digest() == first
    script = data / "load_data.py"
    script.write_text("def samples(split): yield from ()")
    changed = digest()
    assert changed != first
    script.write_text("def samples(split): return iter(())")
    assert digest() != changed
    script.unlink()
    assert digest() == first


def test_what_is_hidden_or_made_by_python_is_no_data(data):
    for name in (".git/config", ".DS_Store", "__pycache__/x.pyc"):
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).touch()
    assert len(user_files.data_files(data)) == 3
    (data / "empty").mkdir()
    with pytest.raises(CrossquantError, match="is empty: put the data there"):
        user_files.data_files(data / "empty")


def test_data_that_went_away_are_taken_from_the_volume(volumes, model, data):
    assert make("--model", model, "--data", data, "--name", "mine") == 0
    data.rename(data.with_name("moved"))
    assert main(["fetch", "--experiment", "mine"]) == 0
    (volumes / "inputs" / "mine-data" / store.MANIFEST).unlink()
    assert main(["fetch", "--experiment", "mine"]) == 2


@pytest.mark.filterwarnings(  # the Docker SDK doesn't close a socket at whose end it found no daemon
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)
def test_without_docker_and_bubblewrap_no_code_of_the_users_runs(model, data, monkeypatch, capsys):
    lack = bubblewrap.Trial((), "bubblewrap is not on this host", "apt install bubblewrap")
    monkeypatch.setattr(bubblewrap, "try_sandbox", lambda: lack)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    assert make("--model", model, "--data", data, "--name", "mine", "--trust") == 0
    for engine in ("auto", "venv"):
        assert main(["run", "--experiment", "mine", "--engine", engine]) == 2
        assert "bubblewrap is not on this host: `apt install bubblewrap`, or start Docker" in capsys.readouterr().err
    gc.collect()  # so that the warning is this test's, and not that of one after it


def test_trust_is_an_option_of_the_run_too(model, data):
    assert make("--model", model, "--data", data, "--name", "mine") == 0
    plain = workflow.load_experiment("mine")
    trusted = workflow.load_experiment("mine", EngineOptions(trust=True))
    assert (plain.model.trust, trusted.model.trust, trusted.options["load"]) == (False, True, {"trust": True})


def test_the_source_of_the_data_is_recorded(volumes, model, data):
    assert make("--model", model, "--data", data, "--name", "mine") == 0
    manifest = json.loads((volumes / "inputs" / "mine-data" / store.MANIFEST).read_text())
    assert manifest["parameters"] == {"origin": str(data.resolve())}


def save_npz(folder: Path, **arrays: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    np.savez(folder / "all.npz", **arrays)
    return folder / "all.npz"


def test_an_archive_of_python_objects_is_refused_before_anything_is_written(volumes, model, tmp_path, capsys):
    whole, pickled = np.zeros((3, 2)), np.array([{}, []], object)
    path = save_npz(tmp_path / "data", x_train=whole, x_test=whole, y_train=pickled)
    for data in (path, path.parent):
        assert make("--model", model, "--data", data, "--name", "mine") == 2
        message = f"error: {path}: y_train.npy holds Python objects (a pickle), which could run code: "
        assert capsys.readouterr().err.startswith(message)
    assert not (volumes / "inputs").exists()


def test_an_array_of_python_objects_in_a_folder(volumes, model, tmp_path, capsys):
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "x_train.npy", np.array([{}], object))
    assert make("--model", model, "--data", tmp_path / "data", "--name", "mine") == 2
    assert "x_train.npy holds Python objects" in capsys.readouterr().err
    assert not (volumes / "inputs").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x93NUMPY\x01\x00v\x00{'descr': (("])
def test_what_can_not_be_read_as_arrays_is_left_to_the_stage(volumes, model, tmp_path, content):
    (tmp_path / "data").mkdir()
    for name in ("all.npz", "x_train.npy"):
        (tmp_path / "data" / name).write_bytes(content)
    assert make("--model", model, "--data", tmp_path / "data", "--name", "mine") == 0
    assert load(volumes, "mine").options["data"]["kind"] == "npz"


def test_arrays_of_numbers_are_no_pickle(model, tmp_path):
    path = save_npz(tmp_path / "data", x_train=np.zeros((3, 2)), y_train=np.zeros(3, np.int64))
    assert make("--model", model, "--data", path, "--name", "mine") == 0


def test_data_that_a_reader_of_the_users_own_unpickles_is_not_looked_at(model, tmp_path):
    """In its sandbox, the user's code may do what it likes."""
    path = save_npz(tmp_path / "data", x_train=np.array([{}], object))
    (path.parent / "load_data.py").touch()
    assert make("--model", model, "--data", path.parent, "--name", "mine") == 0
