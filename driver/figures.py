"""Figures as the page writes them: a true minus sign, and a dash where there is none."""

from driver.results import Gate, Interval

NAMES = {
    "accuracy": "top-1",
    "drop_pp": "drop below the reference",
    "changed": "changed answers",
    "worse_percent": "worse than the reference",
}
NONE = "–"
SHARES = ("accuracy", "changed")  # gates on these are shares, 0-1; the others are in points


def number(value: float | None, form: str = "{:.2f}", scale: float = 1.0) -> str:
    """Of what is zero as it is written, without a sign."""
    if value is None:
        return NONE
    text = form.format(scale * value).replace("-", "−")
    return text if text.strip("+−0.") else text.lstrip("+−")


def percent(share: float | None, digits: int = 2) -> str:
    return number(share, f"{{:.{digits}f}}", 100)


def signed(value: float | None, digits: int = 2) -> str:
    return number(value, f"{{:+.{digits}f}}")


def span(interval: Interval | None, form: str = "{:.2f}", scale: float = 1.0) -> str:
    return "" if interval is None else f"{number(interval.low, form, scale)}…{number(interval.high, form, scale)}"


def p_value(value: float | None) -> str:
    return "<0.001" if value is not None and value < 0.001 else number(value, "{:.3f}")


def tiny(value: float | None) -> str:
    """Of any magnitude, in few characters: 0.565, 2.4e−06."""
    if value is None or value == 0:
        return number(value, "{:.0f}")
    return number(value, "{:.3f}" if abs(value) >= 0.1 else "{:.4f}" if abs(value) >= 0.001 else "{:.1e}")


def kilobytes(size: float | None) -> str:
    return number(size, "{:,.0f}", 1e-3)


def megabytes(size: float | None) -> str:
    return number(size, "{:,.0f}", 1e-6)


def milliseconds(value: float | None) -> str:
    return number(value, "{:,.3f}")


def gate_value(gate: Gate) -> str:
    from driver.measures import MEASURES  # noqa: PLC0415 - it uses this module

    if gate.figure in MEASURES:
        return MEASURES[gate.figure].text(gate.value)
    return f"{number(gate.value, scale=scale(gate))} {unit(gate)}"


def unit(gate: Gate) -> str:
    return "pp" if gate.figure == "drop_pp" else "%"


def scale(gate: Gate) -> float:
    return 100 if gate.figure in SHARES else 1


def gate_limit(gate: Gate) -> str:
    """`≥ 85 %`, and how sure it must be."""
    sure = f" with {gate.confidence:.0%} confidence" if gate.confidence is not None else ""
    from driver.measures import MEASURES  # noqa: PLC0415 - it uses this module

    if gate.figure in MEASURES:
        known = MEASURES[gate.figure]
        limit = f"{known.scale * gate.limit:g} {known.unit}".strip()
    else:
        limit = f"{scale(gate) * gate.limit:g} {unit(gate)}"
    return f"{'≥' if gate.bound == 'min' else '≤'} {limit}{sure}"


def gate_name(figure: str) -> str:
    from driver.measures import MEASURES  # noqa: PLC0415 - it uses this module

    return NAMES.get(figure) or (MEASURES[figure].label if figure in MEASURES else figure)
