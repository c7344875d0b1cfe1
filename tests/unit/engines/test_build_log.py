"""What is shown of BuildKit's log, line by line."""

from build_logs import BUILT

from driver.engines import build
from driver.engines.build import Advanced, Built, LogReader

TWO = {"prepare": "driver", "keras": "keras"}


def read(log: str, services: dict[str, str], seconds: float = 1.0) -> list[build.Event]:
    """The events of a log that has a line every so many seconds."""
    time = iter(range(10_000))
    reader = LogReader(services, lambda: next(time) * seconds)
    events = [event for line in log.splitlines() for event in reader.read(line)]
    return [*events, *reader.finish()]


def test_each_image_has_one_end_that_says_whether_anything_was_done():
    ends = [event for event in read(BUILT, TWO) if isinstance(event, Built)]
    assert [(event.image, event.outcome) for event in ends] == [("driver", "built"), ("keras", "cached")]
    assert [(event.number, event.images) for event in ends] == [(1, 2), (2, 2)]
    assert all(event.seconds > 0 for event in ends)


def test_the_steps_of_all_stages_of_a_dockerfile_are_counted():
    steps = [event for event in read(BUILT, TWO) if isinstance(event, Advanced)]
    driver = [(event.step, event.steps) for event in steps if event.image == "driver"]
    assert driver == [(0, 0), (0, 3), (1, 3), (2, 3)], "from its first line on"
    assert [event for event in steps if event.image == "keras"][-1] == Advanced("keras", 4, 5)


def test_images_whose_lines_are_mixed_are_kept_apart():
    """As Bake builds them: at the same time."""
    mixed = """\
#1 [keras 2/2] RUN a
#2 [prepare 2/2] RUN b
#2 DONE 1.0s
#1 CACHED
#3 [keras] exporting to image
#4 [prepare] exporting to image
#4 DONE 0.1s
#3 DONE 0.1s
"""
    ends = [event for event in read(mixed, TWO) if isinstance(event, Built)]
    assert [(event.image, event.outcome) for event in ends] == [("driver", "built"), ("keras", "cached")]


def test_one_image_alone_is_not_named_in_the_log():
    log = BUILT.replace("[prepare ", "[").replace("[prepare] ", "").partition("#12")[0]
    ends = [event for event in read(log, {"prepare": "driver"}) if isinstance(event, Built)]
    assert [(event.image, event.outcome) for event in ends] == [("driver", "built")]


def test_an_image_whose_end_is_not_in_the_log_is_reported_at_the_end():
    log = BUILT.replace("exporting to", "shipping as")
    ends = [event for event in read(log, TWO) if isinstance(event, Built)]
    assert [(event.image, event.outcome) for event in ends] == [("driver", "built"), ("keras", "cached")]
