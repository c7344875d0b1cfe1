"""`build`: build the images, with a line for each."""

from driver.cli.arguments import Build
from driver.cli.console import Terminal, make_output, print_line, shorten_path
from driver.engines import build
from driver.engines.build import Advanced, Built, Ended, Event
from driver.host import fixes, logs, probes
from shared.errors import CrossquantError, StageError

TAIL = 30  # lines of the log of a build that fails


def run(arguments: Build) -> int:
    """Do what `doctor --fix` does, then build. StageError where an image can't be built, below the end of its log."""
    output = make_output(arguments.display)
    if probes.connect() is None:
        raise CrossquantError("no Docker daemon answers: start it, or `make docker-host`")
    for line in fixes.apply_all():
        print_line(output.progress, line)
    with output.open_terminal() as terminal:
        for event in build.build_images(arguments.images):
            show(event, terminal)
    return 0


def show(event: Event, terminal: Terminal) -> None:
    if isinstance(event, Advanced):
        terminal.advance_build(f"image {event.image}", event.step, event.steps)
    elif isinstance(event, Built):
        terminal.end_build(f"image {event.image}", event.outcome, event.seconds, event.number, event.images)
    elif isinstance(event, Ended) and event.exit_code:
        for line in logs.read_tail(event.path, TAIL):
            terminal.warn(line)
        path = shorten_path(event.path)
        raise StageError(f"the images can't be built (exit code {event.exit_code}): the whole log is {path}")
