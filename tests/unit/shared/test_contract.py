"""What crosses a process boundary is read back unchanged; errors name file and field."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from shared import contract
from shared.contract import Failure, File, Manifest, Plan, Step, decode, encode, read
from shared.errors import CrossquantError, FieldError

STEP = Step("onnx.int8", "onnx", "quantize", ("onnx.fp32", "calibration"), (), {"per_channel": True}, True)
LATENCY = Step("latency.onnx", "onnx", "latency", ("dataset",), ("onnx.int8",), {}, False)
PLAN = Plan(2, "tiny", 2, 60, ("onnx",), "c0de", {"onnx.int8": "tiny/onnx/onnx.int8"}, (STEP, LATENCY), True)
MANIFEST = Manifest(
    schema=1,
    name="onnx.int8",
    status="ok",
    reason="",
    files={"model.onnx": File("ab12", 3)},
    inputs={"onnx.fp32": "d1", "calibration": ""},
    code="c0de",
    parameters={"scale": 0.1, "nested": {"list": [1, None]}},
    versions={"numpy": "2.4.6"},
    image_id="sha256:1",
    seconds=1.25,
    peak_bytes=1 << 20,
)
FAILURE = Failure("onnx.int8", "failed", "a “reason” beyond ASCII\nin two lines")


@dataclass(frozen=True)
class Inner:
    count: int
    name: str = "unnamed"


@dataclass(frozen=True)
class Outer:
    """One field of each kind that the contract knows."""

    number: float = 1.0
    flag: bool = False
    kind: Literal["minmax", "entropy"] = "minmax"
    maybe: int | None = None
    anything: Any = None
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = field(default_factory=dict)


@pytest.mark.parametrize("value", [PLAN, MANIFEST, FAILURE], ids=["plan", "manifest", "failure"])
def test_what_is_written_is_read_back_the_same(tmp_path: Path, value):
    (tmp_path / "value.json").write_text(encode(value))
    assert read(type(value), tmp_path / "value.json") == value


def test_the_same_value_is_always_the_same_text():
    shuffled = dataclasses.replace(MANIFEST, inputs=dict(reversed(MANIFEST.inputs.items())))
    assert encode(shuffled) == encode(MANIFEST)
    assert encode(MANIFEST).endswith("}\n")


def test_defaults_fill_what_may_be_left_out():
    assert decode(Outer, {}) == Outer()
    assert decode(Outer, {"many": [{"count": 1}]}).many == (Inner(1, "unnamed"),)


def test_a_whole_number_is_a_number():
    number = decode(Outer, {"number": 2}).number
    assert (number, type(number)) == (2.0, float)


@pytest.mark.parametrize("value", [None, 3])
def test_a_field_may_have_one_of_two_types(value):
    assert decode(Outer, {"maybe": value}).maybe == value


@pytest.mark.parametrize("value", [None, 1, [1, {"a": True}]])
def test_a_field_of_any_type_is_taken_as_it_is(value):
    assert decode(Outer, {"anything": value}).anything == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1], "must be a mapping, not [1]"),
        ({"nunber": 1}, "nunber: unknown key; did you mean number?"),
        ({"number": "1"}, "number: must be a number, not '1'"),
        ({"number": True}, "number: must be a number, not True"),
        ({"flag": 1}, "flag: must be true or false, not 1"),
        ({"kind": "percentile"}, "kind: must be one of minmax, entropy, not 'percentile'"),
        ({"kind": ["minmax"]}, "kind: must be one of minmax, entropy, not ['minmax']"),
        ({"maybe": True}, "maybe: must be a whole number or nothing, not True"),
        ({"maybe": 1.0}, "maybe: must be a whole number or nothing, not 1.0"),
        ({"many": "text"}, "many: must be a list, such as [text], not 'text'"),
        ({"many": {"count": 1}}, "many: must be a list, not {'count': 1}"),
        ({"many": [{"count": 1}, {}]}, "many.1.count: is missing"),
        ({"many": [{"count": True}]}, "many.0.count: must be a whole number, not True"),
        ({"many": [{"count": 1.0}]}, "many.0.count: must be a whole number, not 1.0"),
        ({"many": [{"count": 1, "name": None}]}, "many.0.name: must be a text, not None"),
        ({"many": [{"count": 1, "nmae": ""}]}, "many.0.nmae: unknown key; did you mean name?"),
        ({"named": []}, "named: must be a mapping, not []"),
        ({"named": {"a.b": {"count": None}}}, "named.a.b.count: must be a whole number, not None"),
    ],
)
def test_a_wrong_field_is_named_with_its_path(data, message):
    with pytest.raises(FieldError) as caught:
        decode(Outer, data)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [PLAN, MANIFEST, FAILURE], ids=["plan", "manifest", "failure"])
def test_every_field_of_a_file_is_required(value):
    whole = json.loads(encode(value))
    for name in whole:
        part = {key: item for key, item in whole.items() if key != name}
        with pytest.raises(FieldError) as caught:
            decode(type(value), part)
        assert str(caught.value) == f"{name}: is missing"


def changed(value: Any, **fields: Any) -> str:
    return json.dumps(json.loads(encode(value)) | fields)


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (Plan, changed(PLAN, threads=True), "threads: must be a whole number, not True"),
        (Plan, changed(PLAN, steps=[{}]), "steps.0.output: is missing"),
        (Manifest, changed(MANIFEST, status="failed"), "status: must be one of ok, unsupported, not 'failed'"),
        (Manifest, changed(MANIFEST, files={"model.onnx": {"sha256": "ab12"}}), "files.model.onnx.size: is missing"),
        (Failure, changed(FAILURE, status="ok"), "status: must be one of failed, skipped, not 'ok'"),
        (Failure, "[]", "must be a mapping, not []"),
    ],
)
def test_a_file_with_a_wrong_field_is_named(tmp_path: Path, kind, text, problem):
    path = tmp_path / "value.json"
    path.write_text(text)
    with pytest.raises(CrossquantError) as caught:
        read(kind, path)
    assert str(caught.value) == f"{path}: {problem}: delete it and run again"


@pytest.mark.parametrize("content", [b"", b'{"schema": 1', b"\xff\xfe"])
def test_a_file_that_is_not_json_is_named(tmp_path: Path, content):
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(CrossquantError) as caught:
        read(Plan, path)
    assert str(caught.value).startswith(f"{path} is not JSON (")
    assert str(caught.value).endswith("): delete it and run again")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(CrossquantError) as caught:
        read(Plan, tmp_path / "plan.json")
    assert str(caught.value) == f"{tmp_path / 'plan.json'} is missing: run again"


def test_a_plan_finds_a_step_by_its_output():
    assert PLAN.step("latency.onnx") is LATENCY


def test_an_unknown_artifact_is_reported_with_the_existing_ones():
    with pytest.raises(CrossquantError) as caught:
        PLAN.step("onnx.int4")
    expected = "unknown artifact 'onnx.int4': did you mean onnx.int8? (`./crossquant list --experiment tiny` shows all)"
    assert str(caught.value) == expected


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 51 + "]" * 51, '{"a":' * 60 + "1" + "}" * 60])
def test_what_is_too_deep_is_no_json_of_ours(text, tmp_path):
    with pytest.raises(ValueError, match="nested more than 50 deep"):
        contract.loads(text)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(CrossquantError, match=r"a\.json is not JSON \(nested more than 50 deep\)"):
        contract.read(Failure, tmp_path / "a.json")


def test_fifty_deep_is_not_too_deep():
    assert contract.loads("[" * 50 + "]" * 50)


def test_what_memory_can_not_hold_is_one_line(monkeypatch):
    def full(_):
        raise MemoryError

    monkeypatch.setattr(contract.json, "loads", full)
    with pytest.raises(ValueError, match="too large"):
        contract.loads("[]")


@pytest.mark.parametrize(("kind", "text"), [(int, "1" + "0" * 30), (float, "1" + "0" * 400)])
def test_a_number_of_more_than_64_bits(kind, text):
    with pytest.raises(FieldError, match="must be a number of 64 bits, not 1000"):
        decode(kind, contract.loads(text))


def test_a_wrong_value_is_reported_in_one_short_line():
    with pytest.raises(FieldError) as caught:
        decode(str, ["\x1b[2J\n" + "x" * 100_000])
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


def test_what_is_shown_is_clean_all_the_way_down():
    failure = Failure("a\nb", "failed", "\x1b[2Jc")
    assert contract.shown(failure) == Failure("a b", "failed", "[2Jc")
    assert contract.shown({"a\n1": ("b\r", [1, None])}) == {"a 1": ("b", [1, None])}
    assert contract.shown("x" * 30, 10) == "x" * 9 + "…"


@dataclass(frozen=True)
class Circle:
    radius: float
    kind: Literal["circle"] = "circle"


@dataclass(frozen=True)
class Square:
    side: float
    kind: Literal["square"] = "square"


@dataclass(frozen=True)
class Drawing:
    shapes: tuple[Circle | Square, ...]
    frame: Circle | Square | None = None


@dataclass(frozen=True)
class Line:
    kind: Literal["solid", "dashed"]


@dataclass(frozen=True)
class Styled:
    line: Line | None = None


def test_a_kind_of_several_values_tells_no_dataclasses_apart():
    assert decode(Styled, {"line": {"kind": "dashed"}}) == Styled(Line("dashed"))


def test_dataclasses_in_a_union_are_told_apart_by_their_kind():
    data = {"shapes": [{"kind": "square", "side": 1.0}, {"kind": "circle", "radius": 2.0}], "frame": None}
    assert decode(Drawing, data) == Drawing((Square(1.0), Circle(2.0)))


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        ({"side": 1.0}, "shapes.0.kind: is missing"),
        ({"kind": "star"}, "shapes.0.kind: must be one of circle, square, not 'star'"),
        ({"kind": ["circle"]}, "shapes.0.kind: must be one of circle, square, not ['circle']"),
        ({"kind": "square"}, "shapes.0.side: is missing"),
        ({"kind": "square", "side": "a"}, "shapes.0.side: must be a number, not 'a'"),
        ({"kind": "square", "radius": 1.0}, "shapes.0.radius: unknown key; known are side, kind"),
        (3, "shapes.0: must be "),
    ],
)
def test_what_is_wrong_with_one_of_a_union_is_named(shape, problem):
    with pytest.raises(FieldError) as caught:
        decode(Drawing, {"shapes": [shape]})
    assert str(caught.value).startswith(problem)
