"""Progress for people: plain lines in a log, bars on a terminal."""

import re
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driver.cli.console import SafeConsole, Terminal
from driver.cli.run_progress import RunProgress
from shared.contract import Step
from shared.runner.progress import Event


def event(kind, output="onnx.int8", **fields):
    return Event(kind, output, **fields)


def end(status="ok", seconds=1.25, reason="", output="onnx.int8"):
    return event("end", output, status=status, seconds=seconds, reason=reason)


def plain(*events):
    """The lines of a run whose stdout is no terminal."""
    with Terminal(Console(file=StringIO(), width=40)) as terminal:
        for each in events:
            terminal.event(each)
    return terminal.console.file.getvalue().splitlines()


@pytest.fixture
def clock():
    """A list whose last item is the time."""
    return [0.0]


@pytest.fixture
def live(clock):
    """A Terminal on a terminal, at the time that `clock` says."""
    console = Console(force_terminal=True, file=StringIO(), width=100, get_time=lambda: clock[-1], color_system=None)
    with Terminal(console) as terminal:
        yield terminal


def drawn(terminal):
    """What stands on the terminal after one more refresh."""
    terminal.console.file.seek(0)
    terminal.console.file.truncate()
    terminal.progress.refresh()
    return terminal.console.file.getvalue()


@pytest.mark.parametrize(
    ("ended", "line"),
    [
        (end(), "onnx.int8                    ok            1.2 s"),
        (end(seconds=123.4), "onnx.int8                    ok          123.4 s"),
        (end("unsupported", 2.0, "says no"), "onnx.int8                    unsupported   2.0 s  says no"),
        (end("skipped", 0.0, "its input is missing"), "onnx.int8                    skipped      its input is missing"),
        (
            end("failed", 0.1, "a reason [with brackets] that is longer than the line of forty columns"),
            "onnx.int8                    failed        0.1 s  "
            "a reason [with brackets] that is longer than the line of forty columns",
        ),
    ],
)
def test_the_end_of_a_stage_is_one_line(ended, line):
    assert plain(ended) == [line]


def test_what_is_skipped_is_one_line_at_the_end():
    skipped = [end("skipped", 0.0, "its input exported is missing") for _ in range(3)]
    assert plain(*skipped, end()) == [
        "onnx.int8                    ok            1.2 s",
        f"{'onnx.int8':28} skipped      its input exported is missing; 2 more were skipped for want of an input",
    ]


def test_without_a_terminal_only_ends_and_notes_are_lines():
    lines = plain(
        event("fresh"),
        event("start"),
        event("progress", done=5, total=10),
        event("note", message="the container was killed"),
        end(),
    )
    assert lines == ["the container was killed", "onnx.int8                    ok            1.2 s"]


def test_a_download_without_a_terminal_says_nothing():
    with Terminal(Console(file=StringIO())) as terminal:
        terminal.download(1 << 20, 2 << 20)
    assert terminal.console.file.getvalue() == ""


def test_a_bar_with_what_is_done_and_the_rate(live, clock):
    live.event(event("start"))
    assert "onnx.int8" in drawn(live)
    for second in range(5):
        clock.append(float(second))
        live.event(event("progress", done=250 * second, total=10_000))
    shown = drawn(live)
    assert "1000/10000" in shown
    assert "250/s" in shown
    assert "0:00:36" in shown, "9,000 images at 250 a second"


def test_the_bar_goes_when_the_stage_ends(live):
    live.event(event("start"))
    live.event(event("progress", done=1, total=2))
    live.event(end())
    assert "onnx.int8                    ok " in live.console.file.getvalue()
    assert "onnx.int8" not in drawn(live)


def test_progress_of_a_stage_whose_start_was_not_seen(live):
    live.event(event("progress", done=1, total=2))
    assert "1/2" in drawn(live)


def test_a_download_shows_kilobytes_and_goes_with_the_next_line(live):
    live.download(512 << 10, 2 << 20)
    assert " 512/2048" in drawn(live)
    live.say("cifar10: from a file")
    assert "download" not in drawn(live)


def test_a_download_of_unknown_length(live):
    live.download(512 << 10, 0)
    assert "512/?" in drawn(live)


CLEAR = "\x1b[2J\x1b[H"  # clears a screen


def test_a_console_shows_what_a_terminal_would_obey():
    """Names of layers and classes are the model's: none of them may move the cursor or write over a line."""
    console = SafeConsole(force_terminal=True, file=StringIO(), width=60, color_system=None)
    table = Table("name", f"{CLEAR}heading")
    table.add_row(f"{CLEAR}All 22 gates hold.", Text(f"a\rb\x9bc\u202ed{CLEAR}"))
    console.print(table)
    console.print(Text(f"{CLEAR}line"), f"{CLEAR}more")
    shown = console.file.getvalue()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    assert "All 22 gates hold." in shown
    assert "line" in shown


def test_colours_of_our_own_are_kept():
    console = SafeConsole(force_terminal=True, file=StringIO(), width=60, color_system="standard")
    console.print(Text("red", "red"))
    assert console.file.getvalue() == "\x1b[31mred\x1b[0m\n"


@pytest.mark.parametrize("name", ["[bold]onnx[/bold]", "[/nothing]", "[link=http://x]a[/link]"])
def test_markup_in_a_name_is_no_markup(live, name):
    live.event(event("start", name))
    live.event(event("progress", name, done=1, total=2))
    assert name in drawn(live)
    live.event(event("note", message=name))
    live.event(end(output=name, reason=name))
    text = live.console.file.getvalue()
    assert f"{name}\n" in text
    assert re.search(rf"{re.escape(name)} +ok +1\.2 s  {re.escape(name)}\n", text)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "✓ loss ≤ −0.10…+0.3 × Δ"),
        ("ascii", "+ loss < -0.10~+0.3 x d"),
        ("latin-1", "+ loss < -0.10~+0.3 x d"),
    ],
)
def test_signs_that_the_terminal_lacks_are_written_with_as_many_others(encoding, text):
    stream = TextIOWrapper(BytesIO(), encoding=encoding)
    console = SafeConsole(file=stream, width=60)
    console.print(Text("✓ loss ≤ −0.10…+0.3 × Δ"))
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding).rstrip() == text


def test_a_name_that_the_terminal_lacks_does_not_end_the_command():
    stream = TextIOWrapper(BytesIO(), encoding="ascii")
    SafeConsole(file=stream, width=60).print(Text("模型.fp32"))
    stream.flush()
    assert stream.buffer.getvalue() == b"??.fp32\n"


def step(output, run="quantize"):
    return Step(output, "onnx", run, (), (), {}, True)


def make_run(clock, *outputs, earlier=()):
    return RunProgress([step(output) for output in outputs], dict(earlier), lambda: clock[-1])


def test_the_whole_run_has_a_bar_of_its_own(live, clock):
    live.expect(make_run(clock, "a", "b", "c", earlier={"a": 60.0, "b": 60.0, "c": 60.0}))
    assert "0/3" in drawn(live)
    assert "about 3 min left" in drawn(live)
    clock.append(1.0)
    live.event(event("fresh", "a"))
    live.event(event("start", "b"))
    live.event(event("progress", "b", done=5, total=10))
    clock.append(2.0)
    shown = drawn(live)
    assert shown.index("1/3, about") < shown.index("5/10"), "above the bar of the stage"
    assert "about 2 min left" in shown
    live.event(end(output="b", seconds=60.0))
    live.event(end("skipped", output="c"))
    assert "3/3" in drawn(live)


def test_without_a_terminal_each_line_says_how_much_is_done(clock):
    with Terminal(Console(file=StringIO(), width=40)) as terminal:
        terminal.expect(make_run(clock, *"abcdefghij"))
        for output in "abc":
            terminal.event(event("fresh", output))
        for output in "def":
            terminal.event(end(output=output))
        terminal.event(end(output="of another run"))
    lines = terminal.console.file.getvalue().splitlines()
    assert [line.partition("]")[0] for line in lines[:3]] == ["[ 4/10", "[ 5/10", "[ 6/10"]
    assert lines[3].startswith("of another run ")


def test_on_a_terminal_the_bar_says_it(live, clock):
    live.expect(make_run(clock, "a"))
    live.event(end(output="a"))
    assert "[1/1]" not in live.console.file.getvalue()


def test_outcomes_stand_below_each_other_whatever_the_names(clock):
    names = ("a", "predictions.onnx.u8s8-percentile-reduced")
    with Terminal(Console(file=StringIO(), width=40)) as terminal:
        terminal.expect(make_run(clock, *names))
        for output in names:
            terminal.event(end(output=output))
    assert len({line.index(" ok ") for line in terminal.console.file.getvalue().splitlines()}) == 1


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_bars_fit_the_terminal_and_say_all(clock, width):
    console = Console(force_terminal=True, file=StringIO(), width=width, get_time=lambda: clock[-1], color_system=None)
    with Terminal(console) as terminal:
        name = "predictions.onnx.u8s8-percentile-reduced-per-channel"
        terminal.expect(make_run(clock, name, "b", earlier={name: 90.0, "b": 1.0}))
        terminal.event(event("start", name))
        for second in range(5):
            clock.append(float(second))
            terminal.event(event("progress", name, done=250 * second, total=10_000))
        lines = [
            line.rstrip() for line in re.sub("\x1b\\[[0-9?]*[a-zA-Z]", "", drawn(terminal)).splitlines() if line.strip()
        ]
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("0/2, about 2 min left")
    assert re.search(r"^predictions\.onnx.* 1000/10000( 250/s)? 0:00:36$", lines[1])
    assert ("250/s" in lines[1]) is (width >= 80)
    assert len(lines) == 2


def test_a_build_without_a_terminal_says_how_many_images_are_ready():
    with Terminal(Console(file=StringIO(), width=60)) as terminal:
        terminal.end_build("image keras", "cached", 0.5, 1, 3)
    assert terminal.console.file.getvalue().split() == ["[1/3]", "image", "keras", "cached", "0.5", "s"]
