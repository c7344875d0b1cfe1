"""What a user is told to type."""

import pytest

from shared.command import DEFAULT_EXPERIMENT, format_command


@pytest.mark.parametrize(
    ("verb", "experiment", "arguments", "command"),
    [
        ("list", DEFAULT_EXPERIMENT, (), "./crossquant list"),
        ("run", DEFAULT_EXPERIMENT, ("--force", "onnx.int8"), "./crossquant run --force onnx.int8"),
        ("run", "mine", ("onnx.int8",), "./crossquant run --experiment mine onnx.int8"),
    ],
)
def test_the_experiment_is_named_unless_it_is_the_default(
    verb: str, experiment: str, arguments: tuple[str, ...], command: str
):
    assert format_command(verb, experiment, *arguments) == command
