"""The comparison as JUnit XML for a CI server.

What a test case tells beside its outcome is text in `system-out`: Jenkins's schema has no properties in a test case.
"""

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from driver.analysis.results import Baseline, Comparison, Gate
from driver.decision.run_outcome import makes_required_decision
from driver.report import decision_phrases, gate_format, phrases

TIME = "0"  # a check takes none; some consumers want the attribute


def junit_text(comparison: Comparison) -> str:
    """The decision as properties; a test case for it, for each gate, held or not, for each check against another run,
    and for each variant or stage without a result. A gate's case has value, limit and unit as lines of its output.
    """
    suite = Element("testsuite", name=f"crossquant.{comparison.experiment}", time=TIME)
    if decision := comparison.decision:
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in (("outcome", decision.outcome), ("variant", decision.variant)):
            ElementTree.SubElement(properties, "property", name=name, value=value)
    suite.extend([make_decision_case(comparison), *make_gate_cases(comparison)])
    if comparison.baseline is not None:
        suite.extend(make_baseline_cases(comparison, comparison.baseline))
    for name, status, reason in comparison.reasons:
        case = make_case(name, "result")
        kind = "skipped" if status in ("unsupported", "skipped") else "error"
        add_outcome(case, kind, f"{status}: {reason}")
        suite.append(case)
    for count, kind in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(len(list(suite.iter(kind)))))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def make_decision_case(comparison: Comparison) -> Element:
    """It fails where the experiment requires a decision that can't be made, and is skipped where nothing is decided."""
    case = make_case(comparison.experiment, "decision")
    line, decision = decision_phrases.decision_line(comparison), comparison.decision
    if not makes_required_decision(comparison):
        add_outcome(case, "failure", decision_phrases.required_decision(comparison))
    elif decision is None:
        add_outcome(case, "skipped", line)
    return add_output(case, [line, *decision_phrases.decision_reasons(comparison)])


def make_gate_cases(comparison: Comparison) -> Iterator[Element]:
    classes = comparison.dataset.get("classes", [])
    for gate in comparison.gates:
        yield make_gate_case(gate, f"{gate.metric} {gate.bound}", classes)
    for unchecked in comparison.unchecked:
        case = make_case(unchecked.variant, unchecked.metric)
        yield add_outcome(case, "error", f"not checked: {phrases.unchecked_sentence(unchecked)}")
    for gate in comparison.not_held:
        case = make_case(gate.variant, f"{gate.metric} {gate.bound} of gates.quantized")
        add_outcome(case, "skipped", phrases.not_held_sentence(gate))
        yield add_output(case, describe_gate(gate, classes))


def make_baseline_cases(comparison: Comparison, baseline: Baseline) -> Iterator[Element]:
    classes, against = comparison.dataset.get("classes", []), f"against {baseline.name}"
    for gate in baseline.gates:
        yield make_gate_case(gate, f"{gate.metric} {against}", classes)
    for unchecked in baseline.unchecked:
        case = make_case(unchecked.variant, f"{unchecked.metric} {against}")
        yield add_outcome(case, "error", f"not checked: {phrases.uncompared_sentence(unchecked)}")
    for name in baseline.lost:
        yield add_outcome(make_case(name, f"result {against}"), "failure", phrases.lost_sentence(name))


def make_gate_case(gate: Gate, name: str, classes: Sequence[str]) -> Element:
    case = make_case(gate.variant, name)
    if not gate.holds:
        add_outcome(case, "failure", phrases.gate_sentence(gate, classes))
    return add_output(case, describe_gate(gate, classes))


def describe_gate(gate: Gate, classes: Sequence[str]) -> list[str]:
    """Lines such as `value: 0.129 ms`; a share is in percent."""
    values = {"value": gate.value, gate.bound: gate.limit, "before": gate.before}
    described = {name: gate_format.quantity(gate.metric, each) for name, each in values.items() if each is not None}
    if gate.confidence is not None:
        described["confidence"] = f"{gate.confidence:g}"
    if gate.label is not None:
        described["class"] = phrases.class_name(classes, gate.label)
    return [f"{name}: {text}" for name, text in described.items()]


def make_case(variant: str, name: str) -> Element:
    return Element("testcase", classname=variant, name=name, time=TIME)


def add_outcome(case: Element, kind: str, message: str) -> Element:
    """The case with what is wrong with it."""
    outcome = ElementTree.SubElement(case, kind, message=message)
    if kind != "skipped":
        outcome.set("type", "crossquant")
    return case


def add_output(case: Element, lines: Sequence[str]) -> Element:
    """The case with the lines that it prints."""
    ElementTree.SubElement(case, "system-out").text = "\n".join(lines)
    return case
