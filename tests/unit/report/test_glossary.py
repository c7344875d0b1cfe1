"""docs/glossary.md as the page reads it."""

import re

import pytest

from driver.analysis.metric_specs import METRIC_SPECS
from driver.report import gate_format, glossary
from driver.report.glossary import Definitions
from driver.report.page import page


def test_a_definition_is_plain_text():
    meanings = glossary.read_glossary()
    assert "variant" in meanings
    assert meanings["max |Δp|"].startswith("the largest difference of a probability")
    assert "figure" not in meanings, "the head of a table"
    assert not [name for name, meaning in meanings.items() if "`" in name + meaning or "\\" in name + meaning]


@pytest.mark.parametrize("name", METRIC_SPECS)
def test_every_metric_is_defined(name):
    assert METRIC_SPECS[name].label in glossary.read_glossary()


@pytest.mark.parametrize("name", gate_format.NAMES.values())
def test_every_gate_is_defined(name):
    assert Definitions().has(name)
    assert not Definitions().has(f"{name}?")


def test_what_is_used_twice_has_one_id():
    definitions = Definitions()
    assert [definitions.use(name) for name in ("p50", "p90", "p50")] == ["def-1", "def-2", "def-1"]
    assert [each.name for each in definitions.used.values()] == ["p50", "p90"]


def test_what_the_glossary_lacks_is_an_error():
    with pytest.raises(KeyError):
        Definitions().use("p51")


def test_every_figure_that_a_template_names_is_defined():
    """Also those that no test's page has."""
    text = "".join(path.read_text() for path in page.TEMPLATES.glob("*.j2"))
    named = re.findall(r'show\.(?:head|term)\((?:[^()"]|"[^"]*"|\([^()]*\))*?, "([^"]+)"\)', text)
    assert len(named) > 40
    assert set(named) <= set(glossary.read_glossary())
