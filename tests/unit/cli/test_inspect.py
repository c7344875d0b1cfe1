"""The command `inspect`: which stages it runs, and how what they found is put together and shown."""

from pathlib import Path

import pytest
from rich.console import Console

from driver.catalog import declarations
from driver.cli import inspect
from driver.cli.arguments import Display, EngineOptions, Inspect
from driver.plan import schedule
from shared.compatibility import Compatibility, FrameworkSupport
from shared.data.signature import Signature, Tensor
from shared.errors import CrossquantError


def arguments(model: Path, *, code: str = "", trust: bool = False) -> Inspect:
    return Inspect(Display(), EngineOptions("venv", trust=trust), str(model), code)


def steps(chosen: object) -> dict[str, tuple[str, ...]]:
    plan = schedule.make(chosen, declarations.load(), {"input.model": "m", "input.dataset": "d"}, 2)
    return {step.output: step.inputs for step in schedule.select(plan, inspect.list_targets(plan))}


def test_three_short_stages_and_no_data():
    assert steps(inspect.make_experiment(arguments(Path("my.keras")))) == {
        "compatibility.keras": ("input.model",),
        "compatibility.onnx": ("compatibility.keras",),
        "compatibility.torch": ("compatibility.onnx",),
    }


def test_an_onnx_file_needs_no_keras():
    assert steps(inspect.make_experiment(arguments(Path("my.onnx")))) == {
        "compatibility.onnx": ("input.model",),
        "compatibility.torch": ("compatibility.onnx",),
    }


@pytest.mark.parametrize("trust", [True, False])
def test_the_stage_has_an_option_whether_code_may_run(trust: bool):
    chosen = inspect.make_experiment(arguments(Path("my.keras"), trust=trust, code="own.py"))
    assert (chosen.model.trust, chosen.options) == (trust, {"describe": {"trust": trust}})
    assert chosen.model.code == str(Path("own.py").absolute())


@pytest.mark.parametrize(
    ("name", "message"), [("absent.keras", "is not there"), ("notes.txt", "is no model that is known")]
)
def test_a_model_that_is_none(name: str, message: str, volumes: Path, tmp_path: Path):  # noqa: ARG001 - the fixture
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(CrossquantError, match=message):
        inspect.run(arguments(tmp_path / name))


def test_what_is_shown(capsys: pytest.CaptureFixture[str]):
    compatibility = Compatibility(
        signature=Signature(
            (Tensor("image", "uint8", (None, 8, 3)), Tensor("age", "float32", ())),
            (Tensor("[bold]", "float32", (10,)),),
            batch=2,
        ),
        parameters=1234,
        size=5678,
        layers={"Conv2D": 2},
        operators={"Conv": 2, "GRU": 1},
        support=(
            FrameworkSupport("tf2onnx", all=True),
            FrameworkSupport("onnx2torch", carried={"Conv": 2}, reason="no converter for GRU"),
        ),
        notes=("unrolled",),
    )
    inspect.show(compatibility, "my.keras", Console(width=100, force_terminal=False))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[:5] == [
        "my.keras: 1,234 parameters, 5,678 bytes",
        "inputs   image: uint8 any x 8 x 3; age: float32 one value, batches of 2 alone",
        "outputs  [bold]: float32 10",
        "layers   2 Conv2D",
        "note     unrolled",
    ]
    table = [line.split() for line in lines]
    assert ["Conv", "2", "2", "2"] in table
    assert ["GRU", "1", "1", "-"] in table
    assert lines[-1] == "onnx2torch: no converter for GRU"
