"""Progress on a terminal: a live bar for each stage, or a plain line where stdout is no terminal."""

import re
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.text import Text

from driver.report.styles import STYLES
from shared.runner.progress import Event

OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]")


class SafeConsole(Console):
    """A console that shows names and messages of foreign files, and obeys nothing in them."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """As Rich does, without the characters that a terminal would obey."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(OBEYED.sub("", segment.text), segment.style)


class Rate(TextColumn):
    """Images a second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: object) -> Text:
        speed = getattr(task, "speed", None)
        return Text(f"{speed:,.0f}/s" if speed else "", style="cyan")


class Terminal:
    """Shows the events of stage runners, and the bytes of downloads."""

    def __init__(self, console: Console) -> None:
        self.console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(),
        )
        disabled = not console.is_terminal
        self.progress = Progress(*columns, console=console, transient=True, disable=disabled)
        self.tasks: dict[str, TaskID] = {}

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

    def event(self, event: Event) -> None:
        if event.event == "note":
            self.say(Text(event.message))
        elif event.event == "start":
            self.tasks[event.output] = self.progress.add_task(escape(event.output), total=None)
        elif event.event == "progress":
            self._advance(event.output, event.done, event.total)
        elif event.event == "end":
            self._end(event.output)
            self.say(self._line(event))

    def download(self, done: int, total: int) -> None:
        """Bytes so far and in all, 0 where that is unknown."""
        self._advance("download", done >> 10, total >> 10 or None)

    def say(self, line: str | Text) -> None:
        """A line of text: markup in it is no markup."""
        self._end("download")
        self.console.print(line, soft_wrap=True, highlight=False, markup=False)

    def _advance(self, output: str, done: int, total: int | None) -> None:
        if output not in self.tasks:
            self.tasks[output] = self.progress.add_task(escape(output), total=total)
        self.progress.update(self.tasks[output], completed=done, total=total)

    def _end(self, output: str) -> None:
        task = self.tasks.pop(output, None)
        if task is not None:
            self.progress.remove_task(task)

    @staticmethod
    def _line(event: Event) -> Text:
        line = Text(f"{event.output:<28} ")
        line.append(f"{event.status:<11}", STYLES.get(event.status, ""))
        line.append(f" {event.seconds:5.1f} s" if event.seconds else "")
        return line.append(f"  {event.reason}" if event.reason else "")
