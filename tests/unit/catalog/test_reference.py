"""The reference page: what ships is what the declarations say."""

import pytest

from driver.catalog import declarations, reference
from driver.catalog.declarations import Option


def test_the_page_that_ships_is_what_is_generated():
    page = reference.render_page(declarations.read_all())
    assert reference.PAGE.read_text() == page, "run `python -m driver.catalog.reference --write`"


def test_every_option_of_every_image_is_on_it():
    page = reference.PAGE.read_text()
    for image in declarations.read_all().values():
        for stage in image.stage:
            for name, option in stage.options.items():
                row = f"| `{name}` | {reference.render_value(option.default)} | {reference.render_limits(option)} |"
                assert f"{row} {option.help} |\n" in page


@pytest.mark.parametrize(
    ("option", "default", "limits"),
    [
        (Option("a", ("a", "b")), "`a`", "`a`, `b`"),
        (Option(3, min=1, max=20), "`3`", "whole number, 1 to 20"),
        (Option(0.2, min=0.0), "`0.2`", "number, at least 0"),
        (Option(0.5, max=1.0), "`0.5`", "number, at most 1"),
        (Option(False), "`false`", "true or false"),
        (Option([], items="float"), "–", "list of numbers"),
        (Option(["haswell"]), "`[haswell]`", "list of texts"),
        (Option(""), "–", "text"),
        (Option({}), "–", "mapping"),
    ],
)
def test_values_are_written_as_in_an_experiment(option, default, limits):
    assert (reference.render_value(option.default), reference.render_limits(option)) == (default, limits)


def test_it_is_printed_unless_it_is_to_be_written(capsys, tmp_path, monkeypatch):
    reference.main([])
    printed = capsys.readouterr().out
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    monkeypatch.setattr(reference, "PAGE", tmp_path / "reference" / "stages.md")
    reference.main(["--write"])
    assert reference.PAGE.read_text() == printed
