"""A framework's exception is its refusal of the model; an exception of our own code stays a failure."""

import json
from types import SimpleNamespace

import pytest

from shared.errors import CrossquantError, Unsupported
from shared.refusals import refusals


def refuse(node: object, error: Exception) -> None:  # noqa: ARG001 - it is looked at in the frame
    json.loads("{}", object_hook=lambda _: fail(error))


def fail(error: Exception) -> None:
    raise error


GEMM = SimpleNamespace(op_type="Gemm", name="dense")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("scale of c0 is missing"), "T at Gemm 'dense': scale of c0 is missing"),
        (ValueError("no scale for Gemm here"), "T at Gemm 'dense': no scale for Gemm here"),
        (KeyError("c0"), "T at Gemm 'dense': KeyError: 'c0'"),
        (AssertionError(), "T at Gemm 'dense': AssertionError"),
    ],
)
def test_a_refusal_names_the_operator(error: Exception, said: str):
    with pytest.raises(Unsupported) as caught, refusals("T", "json"):
        refuse(GEMM, error)
    assert str(caught.value) == said


@pytest.mark.parametrize("error", [MemoryError(), OSError("disk"), CrossquantError("say this")])
def test_what_is_no_refusal_goes_on(error: Exception):
    with pytest.raises(type(error)), refusals("T", "json"):
        refuse(GEMM, error)


def test_a_fault_of_ours_is_none_of_the_frameworks():
    with pytest.raises(ZeroDivisionError), refusals("T", "json"):
        fail(ZeroDivisionError())


def test_a_loops_variable_is_not_taken_for_the_operator():
    def every() -> None:
        for node in [GEMM]:
            print(node.name)
        json.loads("{}", object_hook=lambda _: fail(ValueError("what comes after them")))

    with pytest.raises(Unsupported) as caught, refusals("T", "json"):
        every()
    assert str(caught.value) == "T: what comes after them"
