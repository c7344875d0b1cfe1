"""Figures as the page writes them: a true minus sign, and a dash where there is none."""

from driver.analysis.results import Interval

NONE = "–"


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
