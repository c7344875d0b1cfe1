"""What each metric is called, which way is better, how it is written, and how much of it matters."""

from dataclasses import dataclass

from driver.analysis.numbers import number
from driver.analysis.results import Better, Interval, Metric

DIGITS = 4
POINT_DIGITS = 6  # of a difference in points
EXACT_DB = 150.0  # what an exact copy is given: float32 can tell no more
UNITS = {"images": "image", "rows": "row", "samples": "sample", "texts": "text"}  # one of them


@dataclass(frozen=True)
class MetricSpec:
    """`label` is for tables, `long` says what it is. Shares are written in percent, their differences in points; what
    has no `form`, since it may be of any magnitude, with so many significant digits.

    A loss of no more than `margin` matters to nobody: resampling tells differences of the last bit from nothing. It is
    in the metric's own unit, or where it is `relative` a share of the reference's metric. None for accuracy: there only
    an answer that is another one counts. `counted`: it is a share of right answers, whose interval and test are those
    of counts. `weighted`: it is one in which samples have weights, whose bound is that of counts. `word` is what a
    sentence calls it, where that is not the label.
    """

    label: str
    long: str
    better: Better = "higher"
    unit: str = ""
    form: str = "{:.4f}"
    margin: float = 0.001
    relative: bool = False
    counted: bool = False
    weighted: bool = False
    word: str = ""

    @property
    def name(self) -> str:
        """In a sentence."""
        return self.word or self.label

    @property
    def title(self) -> str:
        """At the beginning of a sentence."""
        return self.word.capitalize() or self.label

    @property
    def full_title(self) -> str:
        """The label and the word."""
        return f"{self.label.capitalize()} {self.word}" if self.word else self.label

    @property
    def scale(self) -> float:
        return 100 if self.unit == "%" else 1

    @property
    def difference_unit(self) -> str:
        return "pp" if self.unit == "%" else self.unit

    @property
    def heading(self) -> str:
        return f"{self.label} {self.unit}".strip()

    @property
    def difference_heading(self) -> str:
        return f"Δ {self.difference_unit or self.label}"

    @property
    def axis(self) -> str:
        """Over a plot."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    @property
    def direction(self) -> str:
        return f"{self.better} is better"

    def bare(self, value: float | None) -> str:
        """Without its unit."""
        return number(value, self.form, self.scale) if self.form else format_significant(value, DIGITS)

    def text(self, value: float | None) -> str:
        return f"{self.bare(value)} {self.unit}".strip() if value is not None else number(None)

    def signed(self, value: float | None) -> str:
        """Of a difference, without its unit: a share's in points."""
        if not self.form:
            return format_significant(value, DIGITS - 1, "+")
        return number(value, self.form.replace("{:", "{:+"), self.scale)

    def span(self, interval: Interval | None, signed: bool = False) -> str:
        if interval is None:
            return ""
        write = self.signed if signed else self.bare
        return f"{write(interval.low)}…{write(interval.high)}"


def make_share_spec(label: str, long: str) -> MetricSpec:
    return MetricSpec(label, long, "higher", "%", "{:.2f}")


def make_counted_spec(label: str, long: str) -> MetricSpec:
    return MetricSpec(label, long, "higher", "%", "{:.2f}", 0.0, counted=True)


def make_error_spec(label: str, long: str) -> MetricSpec:
    return MetricSpec(label, long, "lower", "", "", 0.01, relative=True)


def format_significant(value: float | None, digits: int, sign: str = "") -> str:
    """Whole thousands, tiny values by their exponent, all else without one."""
    if not value:
        return number(value, "{:.0f}")
    if round(abs(value)) >= 10**digits:
        return number(value, f"{{:{sign},.0f}}")
    return number(value, f"{{:{sign}#.{digits}g}}").rstrip(".")


METRIC_SPECS = {
    "accuracy": MetricSpec("top-1", "accuracy", "higher", "%", "{:.2f}", 0.0, counted=True, word="accuracy"),
    "weighted_accuracy": MetricSpec(
        "weighted", "accuracy weighted by class", "higher", "%", "{:.2f}", weighted=True, word="weighted accuracy"
    ),
    "top5": MetricSpec("top-5", "top-5 accuracy", "higher", "%", "{:.2f}", 0.0, counted=True),
    "map": make_share_spec("mAP", "mean average precision"),
    "f1": make_share_spec("F1", "micro-averaged F1, at 0.5"),
    "f1_macro": make_share_spec("F1 macro", "macro-averaged F1, at 0.5"),
    "miou": make_share_spec("mIoU", "intersection over union, the mean of the classes"),
    "iou": make_share_spec("IoU", "intersection over union"),
    "pixel_accuracy": make_share_spec("pixel accuracy", "share of the pixels with the right class"),
    "token_accuracy": make_share_spec("token accuracy", "share of the tokens with the right tag"),
    "token_f1": make_share_spec("tag F1", "F1 of the tags, the mean of them"),
    "tag_f1": make_share_spec("F1 of a tag", "F1 of a tag"),
    "coco_map": make_share_spec("mAP", "COCO mean average precision, IoU 0.50 to 0.95"),
    "map50": make_share_spec("mAP50", "COCO mean average precision, IoU 0.50"),
    "mae": make_error_spec("MAE", "mean absolute error"),
    "rmse": make_error_spec("RMSE", "root of the mean squared error"),
    "r2": MetricSpec("R²", "coefficient of determination"),
    "mse": make_error_spec("MSE", "mean squared error of the reconstruction"),
    "auc": MetricSpec("ROC AUC", "area under the ROC curve of the reconstruction error"),
    "recall1": make_counted_spec("recall@1", "share of the samples whose nearest one is of their label"),
    "recall5": make_counted_spec("recall@5", "share of the samples that have one of their label among the 5 nearest"),
    "recall10": make_counted_spec(
        "recall@10", "share of the samples that have one of their label among the 10 nearest"
    ),
    "spearman": MetricSpec(
        "Spearman", "rank correlation of the cosines of pairs with their scores", word="rank correlation"
    ),
    "pearson": MetricSpec(
        "Pearson", "correlation of the cosines of pairs with their scores", word="linear correlation"
    ),
    "sqnr": MetricSpec("SQNR", "signal to quantization noise", "higher", "dB", "{:.1f}", 0.5),
    "cosine": MetricSpec("cosine", "cosine of the angle to the reference's output", form="{:.5f}"),
    "agreement": make_share_spec("agree", "share of the outputs that agree with the reference"),
}


def spec_of(metric: Metric | None) -> MetricSpec:
    return METRIC_SPECS["accuracy" if metric is None else metric.name]


def difference_in_points(metric: Metric | None) -> float | None:
    """Of a share, to the reference's, in percentage points, rounded: a share is a quotient of counts."""
    return None if metric is None or metric.delta is None else round(100 * metric.delta, POINT_DIGITS)


def least_loss(name: str, reference: float) -> float:
    """The least loss that matters, where the reference has this value."""
    spec = METRIC_SPECS[name]
    return spec.margin * (abs(reference) if spec.relative else 1.0)


def is_significant_loss(metric: Metric, level: float) -> bool:
    """Is it worse than what it is compared with, by more than matters, and surely? Of this one comparison alone."""
    if metric.loss is None or metric.delta is None or metric.p_value is None:
        return False
    return metric.loss > least_loss(metric.name, metric.value - metric.delta) and metric.p_value < level


def goodness(metric: Metric) -> float:
    """Of two metrics of one name the better one is higher."""
    return metric.value if metric.better == "higher" else -metric.value


def singular_of(unit: str) -> str:
    """A single one of them."""
    return UNITS.get(unit, unit.removesuffix("s"))
