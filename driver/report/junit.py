"""The comparison as JUnit XML for a CI server."""

from xml.etree import ElementTree

from driver.analysis.results import Comparison
from driver.report import phrases


def junit_text(comparison: Comparison) -> str:
    """The decision as properties; a test case for each gate, be it held or not, and for each variant or stage without a
    result.
    """
    suite = ElementTree.Element("testsuite", name=f"crossquant.{comparison.experiment}")
    if decision := comparison.decision:
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in (("outcome", decision.outcome), ("variant", decision.variant)):
            ElementTree.SubElement(properties, "property", name=name, value=value)
    for gate in comparison.gates:
        case = ElementTree.SubElement(suite, "testcase", classname=gate.variant, name=f"{gate.metric} {gate.bound}")
        if not gate.holds:
            ElementTree.SubElement(case, "failure", message=phrases.gate_sentence(gate))
    for gate in comparison.not_held:
        name = f"{gate.metric} {gate.bound} of gates.quantized"
        case = ElementTree.SubElement(suite, "testcase", classname=gate.variant, name=name)
        ElementTree.SubElement(case, "skipped", message=phrases.not_held_sentence(gate))
    for name, status, reason in comparison.reasons:
        case = ElementTree.SubElement(suite, "testcase", classname=name, name="result")
        kind = "skipped" if status in ("unsupported", "skipped") else "error"
        ElementTree.SubElement(case, kind, message=f"{status}: {reason}")
    for count, kind in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(len(list(suite.iter(kind)))))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
