"""The colour of each variant: that of its image."""

from driver.analysis.results import Comparison, Variant
from driver.report.plots.drawing import IMAGES


def colour_of(comparison: Comparison, row: Variant) -> str:
    names = list(dict.fromkeys(item.image for item in comparison.variants))
    return IMAGES[names.index(row.image) % len(IMAGES)]
