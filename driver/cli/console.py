"""Where a command writes: its answer, its progress (live bars, or plain lines where there is no terminal), errors."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.table import Column
from rich.text import Text

from driver.cli.arguments import Display
from driver.cli.run_progress import RunProgress
from driver.report.styles import STYLES
from shared.runner.progress import Event

PLAIN_WIDTH = 120  # columns
# One character for each of ours, so that tables stay aligned.
PLAIN_SIGNS = str.maketrans("✓✗≤≥−–…×·Δ→━─\xa0", "+x<>--~x.d>-- ")
NARROWEST_BAR, WIDEST_BAR = 6, 40
BESIDE_BAR = 62  # columns of a name, of what is done, its rate and the time left
NUMBERS, RATE = 32, 11  # of all but the name; of the rate, which a terminal has that is WIDE
WIDE = 80
NAME_WIDTH, LONGEST_NAME = 28, 48  # of the names before a stage's outcome; longer ones push it aside
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]")


class SafeConsole(Console):
    """A console that shows names and messages of foreign files, and obeys nothing in them."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render as Rich does, without control characters, and without what the terminal's encoding lacks."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(self.clean(segment.text), segment.style)

    def clean(self, text: str) -> str:
        text = OBEYED.sub("", text)
        if text.isascii() or self.encoding.startswith("utf"):
            return text
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            text = text.translate(PLAIN_SIGNS)
        return text.encode(self.encoding, "replace").decode(self.encoding)


class Description(TextColumn):
    """A stage's name; of the whole run how much is done, and how long the rest takes as `RunProgress` estimates it."""

    def render(self, task: Task) -> Text:
        run: RunProgress | None = task.fields.get("run")
        return super().render(task) if run is None else Text(run.describe())


class Done(MofNCompleteColumn):
    """How much of a stage is done."""

    def render(self, task: Task) -> Text:
        return Text() if task.fields.get("run") else super().render(task)


class Rate(ProgressColumn):
    """Images a second, of a stage."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed and not task.fields.get("run") else "", style="cyan")


class Remaining(TimeRemainingColumn):
    """How long a stage takes yet."""

    def render(self, task: Task) -> Text:
        return Text() if task.fields.get("run") else super().render(task)


class Terminal:
    """Shows the events of stage runners, the bytes of downloads, and the steps of builds.

    What is no mere progress goes to `errors` where `console` is quiet.
    """

    def __init__(self, console: Console, errors: Console | None = None) -> None:
        self.console, self.errors = console, errors or console
        wide = console.width >= WIDE
        bar = max(NARROWEST_BAR, min(WIDEST_BAR, console.width - BESIDE_BAR))
        room = console.width - bar - (NUMBERS if wide else NUMBERS - RATE)
        columns = (
            Description("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", max_width=room)),
            BarColumn(bar),
            Done(table_column=Column(no_wrap=True)),
            *([Rate(table_column=Column(no_wrap=True))] if wide else []),
            Remaining(table_column=Column(no_wrap=True)),
        )
        disabled = not console.is_terminal
        self.progress = Progress(*columns, console=console, transient=True, disable=disabled)
        self.tasks: dict[str, TaskID] = {}
        self.run: RunProgress | None = None
        self.name_width = NAME_WIDTH
        self.whole: TaskID | None = None
        self.skipped: list[Event] = []

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()
        self._say_skipped()

    def expect(self, run: RunProgress) -> None:
        """From now on, show how much of the run is done."""
        self.run = run
        self.name_width = max(NAME_WIDTH, min(LONGEST_NAME, max(map(len, run.steps), default=0)))
        self.whole = self.progress.add_task("", total=run.total, run=run)

    def event(self, event: Event) -> None:
        self._count(event)
        if event.event == "note":
            self.say(Text(event.message))
        elif event.event == "start":
            self.tasks[event.output] = self.progress.add_task(escape(event.output), total=None)
        elif event.event == "progress":
            self._advance(event.output, event.done, event.total)
        elif event.event == "end":
            self._end(event.output)
            if event.status == "skipped":
                self.skipped.append(event)
                return
            show = self.warn if event.status == "failed" else self.say
            show(self._line(event.output, event.status, event.seconds, event.reason))

    def _count(self, event: Event) -> None:
        if self.run is None or self.whole is None:
            return
        if event.event == "start":
            self.run.start(event.output)
        elif event.event in ("end", "fresh"):
            made = event.event == "end" and event.status != "skipped"
            self.run.finish(event.output, event.seconds if made else None)
            self.progress.update(self.whole, completed=self.run.done)

    def download(self, done: int, total: int) -> None:
        """Bytes so far and in all, 0 where that is unknown."""
        self._advance("download", done >> 10, total >> 10 or None)

    def say(self, line: str | Text) -> None:
        """Print a line of text; markup in it is not interpreted."""
        self._end("download")
        print_line(self.console, line)

    def warn(self, line: str | Text) -> None:
        """Print a line that `--quiet` doesn't hide."""
        if self.console.quiet:
            print_line(self.errors, line)
        else:
            self.say(line)

    def _say_skipped(self) -> None:
        """One line for all that was skipped: what they need has a line of its own."""
        if not self.skipped:
            return
        first, *others = self.skipped
        more = f"; {len(others)} more were skipped for want of an input" if others else ""
        self.warn(self._line(first.output, "skipped", 0.0, f"{first.reason}{more}"))
        self.skipped.clear()

    def advance_build(self, image: str, step: int, steps: int) -> None:
        self._advance(image, step, steps or None)

    def end_build(self, image: str, outcome: str, seconds: float, number: int, images: int) -> None:
        """The image of this `number` of so many `images` is ready."""
        self._end(image)
        self.say(self._number(number, images).append_text(self._line(image, outcome, seconds)))

    def _advance(self, output: str, done: int, total: int | None) -> None:
        if output not in self.tasks:
            self.tasks[output] = self.progress.add_task(escape(output), total=total)
        self.progress.update(self.tasks[output], completed=done, total=total)

    def _end(self, output: str) -> None:
        task = self.tasks.pop(output, None)
        if task is not None:
            self.progress.remove_task(task)

    def _number(self, done: int, total: int) -> Text:
        """Before a line, where no bars show it."""
        return Text("" if self.console.is_terminal else f"[{done:>{len(str(total))}}/{total}] ")

    def _line(self, name: str, status: str, seconds: float, reason: str = "") -> Text:
        line = Text(f"{name:<{self.name_width}} ")
        if self.run is not None and name in self.run.steps:
            line = self._number(self.run.done, self.run.total).append_text(line)
        line.append(f"{status:<11}", STYLES.get(status, ""))
        line.append(f" {seconds:5.1f} s" if seconds else "")
        return line.append(f"  {reason}" if reason else "")


class ConsoleHandler(logging.Handler):
    """Log records as lines of a console, above its live display."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.DEBUG)
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        print_line(self.console, Text(record.getMessage(), "dim"))


@dataclass(frozen=True)
class Output:
    """Where a command writes.

    `answer` is what was asked for; it is silent where the answer is printed as JSON. `progress` is all that is said
    meanwhile: beside the answer, on stderr with `--json`, and nowhere with `--quiet`. `errors` is stderr.
    `verbose`: the answer has all there is to say.
    """

    answer: Console
    progress: Console
    errors: Console
    json: bool = False
    verbose: bool = False

    def print_line(self, line: str | Text) -> None:
        """A line of the answer."""
        print_line(self.answer, line)

    def print_json(self, value: Any) -> None:
        """The answer, where a program asked. Only ASCII: a terminal obeys nothing in it."""
        print(json.dumps(value, indent=1))

    def open_terminal(self) -> Terminal:
        return Terminal(self.progress, self.errors)


def make_output(display: Display) -> Output:
    """The consoles that the options ask for. With `--verbose`, the driver's log is part of the progress."""
    answer = make_console(quiet=display.json)
    errors = make_console(stderr=True)
    progress = errors if display.json else answer
    if display.quiet:
        progress = make_console(quiet=True)
    logger = logging.getLogger("driver")
    logger.handlers = [ConsoleHandler(progress)] if display.verbose else []
    logger.setLevel(logging.DEBUG if display.verbose else logging.WARNING)
    return Output(answer, progress, errors, display.json, display.verbose)


def make_console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Eighty columns cut a table where no terminal says how wide it is."""
    console = SafeConsole(stderr=stderr, quiet=quiet)
    return console if console.is_terminal else SafeConsole(stderr=stderr, quiet=quiet, width=PLAIN_WIDTH)


def print_line(console: Console, line: str | Text) -> None:
    """Print a line of text unwrapped; markup in it is not interpreted."""
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def shorten_path(path: Path) -> Path:
    """`path` relative to the working directory, where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
