"""The name of the command in messages, pages and files, and how a user types it for an experiment."""

COMMAND = "./crossquant"  # the script at the top of the checkout; `python -m driver` does the same
DEFAULT_EXPERIMENT = "resnet8-cifar10"


def format_command(verb: str, experiment: str, *arguments: str) -> str:
    """The command to type for `experiment`, which isn't named where it is the default."""
    named = [] if experiment == DEFAULT_EXPERIMENT else ["--experiment", experiment]
    return " ".join([COMMAND, verb, *named, *arguments])
