"""Comparisons made by hand, with figures as a run of the default experiment gives them, and those at the edges."""

from dataclasses import replace

import numpy as np
from variant_makers import EXPERIMENT, accuracy_of, assess, change, difference_of, make_variant

from driver.analysis import statistics
from driver.analysis.facts import (
    AnsweringCpu,
    AnswersOfOtherCpus,
    BusyMachine,
    ComparedWith,
    Decision,
    FormatConversion,
    GateFails,
    Price,
    Quantization,
    ReferenceUnsound,
    Rejection,
    ShownGoodEnough,
)
from driver.analysis.results import (
    SCHEMA,
    Assessment,
    Changed,
    Cold,
    Comparison,
    ConversionStep,
    Count,
    Drift,
    Gate,
    Latency,
    Losing,
    Noise,
    Paired,
    Timing,
    Variant,
)
from driver.comparison.page_data import PageData
from driver.decision import decide
from driver.decision.criteria import TimingNoise
from driver.report import files as report_files
from shared.contract import Failure

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FULL = {"name": "cifar10", "test_images": 10_000, "sample": False, "classes": CLASSES}
HOST = {
    "cpu": "AMD EPYC 9654",
    "int8_instructions": ["avx2", "avx512f", "avx512_vnni"],
    "cores": 2,
    "memory_bytes": 25_276_514_304,
    "system": "Linux 6.18.44 x86_64",
}
VERSIONS = {
    "keras": {"keras": "3.15.1", "tensorflow-cpu": "2.21.0", "tf2onnx": "1.17.0"},
    "onnx": {"onnx": "1.23.2", "onnxruntime": "1.32.0"},
    "torch": {"onnx2torch": "1.5.15", "torch": "2.13.0+cpu"},
}
PER_CLASS = (900, 942, 829, 779, 881, 816, 918, 917, 928, 927)
TWICE = {"keras.fp32": 0.03, "onnx.fp32": 0.004, "torch.fp32": 0.023}
# name: only the reference right, only the variant right, bytes, p50 ms, images a second, largest difference
FIGURES = {
    "keras.fp32": (0, 0, 425_584, 0.796, 3206, 0.0),
    "onnx.fp32": (0, 0, 317_545, 0.231, 4438, 2.4e-6),
    "torch.fp32": (0, 0, 320_117, 0.607, 2548, 3.0e-6),
    "onnx.int8": (189, 129, 101_139, 0.297, 3435, 0.565),
    "onnx.uint8": (172, 117, 101_049, 0.261, 4137, 0.591),
    "onnx.u8s8": (124, 119, 105_804, 0.129, 8694, 0.463),
    "torch.int8": (170, 113, 102_137, 0.243, 3268, 0.495),
    "torch.x86": (170, 113, 102_137, 0.232, 7236, 0.495),
}
REFUSED = "PyTorch quantized 0 of 10 layers: Weight observer must have a dtype of qint8, got torch.quint8"


def pairs(only_reference, only_variant, right=8837, images=10_000):
    """Of a reference that gets `right` images right."""
    counts = (right - only_reference, only_reference, only_variant, images - right - only_variant)
    low_high = statistics.newcombe_interval(*counts)
    [p_value] = statistics.exact_mcnemar(np.array([only_reference]), np.array([only_variant]))
    return Paired(*counts, 100 * (only_variant - only_reference) / images, low_high, p_value)


def drift(changed, largest, images=10_000):
    noisy = bool(changed)
    sqnr = 20.5 if noisy else 126.9 if largest else None
    return Drift(images, changed, 1 - changed / images, largest, largest / 75, sqnr, 0.9912, 0.1128 if noisy else 3e-13)


def timing(batch, threads, p50, per_second):
    return Timing(batch, threads, p50, 1.12 * p50, 1.9 * p50, 420, per_second, (0.98 * p50, p50, 1.04 * p50))


def variant(name):
    """A row with every figure."""
    only_reference, only_variant, size, p50, per_second, largest = FIGURES[name]
    image, _, recipe = name.partition(".")
    paired = pairs(only_reference, only_variant)
    right = paired.both_right + only_variant
    changed = (only_reference + only_variant) * 6 // 5
    timings = (timing(1, 1, p50, 1000 / p50), timing(64, 1, 64_000 / per_second, per_second))
    timings += (timing(1, 2, 1.05 * p50, 952 / p50), timing(64, 2, 50_000 / per_second, 1.2 * per_second))
    return make_variant(
        name,
        image,
        recipe,
        "ok",
        accuracy=right / 10_000,
        delta_pp=paired.delta_pp,
        agreement=1 - changed / 10_000,
        max_abs_diff=largest,
        size_bytes=size,
        latency_ms=Latency(p50, 1.12 * p50, 1.9 * p50, 420),
        images_per_second=float(per_second),
        interval=statistics.wilson_interval(right, 10_000),
        paired=paired,
        drift=drift(changed, largest),
        ece=0.0237 + largest / 200,
        classes=tuple(Count(right - shift(only_reference, label), 1000) for label, right in enumerate(PER_CLASS)),
        losing=(Losing(5, pairs(48, 15, 816, 1000)),) if only_reference > 150 else (),
        timings=timings,
        cold=Cold(0.22, 0.24, 0.26, 78_721_024),
    )


def shift(only_reference, label):
    """How many right answers a quantized variant loses of a class: most of the dogs."""
    return only_reference * (label * 7 % 10 - 2) // 40


def empty(name, status, reason):
    """A row without any figure."""
    image, _, recipe = name.partition(".")
    return Variant(name, image, recipe, status, reason)


INT8 = Quantization("int8", "int8", "static")


def step(change, before, after, *tools):
    row = variant(after)
    return ConversionStep(change, before, after, tools, row.drift, row.paired)


STEPS = (
    step(FormatConversion("Keras", "ONNX"), "keras.fp32", "onnx.fp32", "tf2onnx 1.17.0", "onnxruntime 1.32.0"),
    step(FormatConversion("ONNX", "PyTorch"), "onnx.fp32", "torch.fp32", "onnx2torch 1.5.15"),
    *(step(INT8, "onnx.fp32", f"onnx.{recipe}", "onnxruntime 1.32.0") for recipe in ("int8", "uint8", "u8s8")),
    *(step(INT8, "torch.fp32", f"torch.{recipe}", "torch 2.13.0+cpu") for recipe in ("int8", "x86")),
)


def gates(rows):
    for row in rows:
        yield Gate(row.name, "accuracy", "min", 0.85, accuracy_of(row), accuracy_of(row) >= 0.85)
        if row.quantized:
            yield Gate(row.name, "drop_pp", "max", 2.0, -difference_of(row), difference_of(row) >= -2, 0.95)
        else:
            yield Gate(row.name, "changed", "max", 0.0001, 0.0, True)


def comparison(**changes):
    """The default experiment: nine rows, of which torch refuses the last."""
    rows = tuple(assess([variant(name) for name in FIGURES]))
    noise = tuple(Noise(name.partition(".")[0], name, share) for name, share in TWICE.items())
    every = (*rows, empty("torch.uint8", "unsupported", REFUSED))
    checked = tuple(gates(rows))
    default = Comparison(
        SCHEMA,
        "resnet8-cifar10",
        "keras.fp32",
        FULL,
        every,
        HOST,
        VERSIONS,
        checked,
        conversion_steps=STEPS,
        noise=noise,
        decision=decide.decide(every, checked, TimingNoise(max(TWICE.values())), EXPERIMENT),
        digests={name: f"{number:064x}" for number, name in enumerate((*FIGURES, "dataset", "calibration"))},
        evidence="4cc22285dd2069ab5f8f22d2d728a1f137c29ba0149eb353968f6a7b50664a6a",
    )
    return replace(default, **changes)


def bound_loss(row, limit=0.00884, target="here", candidates=7):
    """What is shown of a row whose loss is known to ±0.4 points: a bound for all candidates at once."""
    loss = row.headline.loss
    low, high = loss - 0.004, loss + 0.004
    outcome = "good_enough" if high < limit else "worse" if low > limit else "not_shown"
    return Assessment(target, outcome, "accuracy", "loss", loss, low, high, limit, 10_000, candidates)


def assessed(**changes):
    """The default experiment, whose variants are assessed. onnx.int8 is made much worse than is tolerated, and
    onnx.u8s8 is not shown on another CPU.
    """
    base = comparison(**changes)
    rows = []
    for row in base.variants:
        if row.name == base.reference or row.headline is None:
            rows.append(row)
            continue
        worse = change(row, paired=pairs(1089, 29), delta_pp=-10.6) if row.name == "onnx.int8" else row
        others = (bound_loss(worse, 0.004, "haswell"),) if row.name == "onnx.u8s8" else ()
        rows.append(replace(worse, assessments=(bound_loss(worse), *others)))
    return replace(base, variants=tuple(rows))


def unassessed(**changes):
    """The default experiment, of whose variants nothing is said to be shown."""
    base = comparison(**changes)
    return replace(base, variants=tuple(replace(row, assessments=()) for row in base.variants))


def troubled():
    """The sample, a busy machine, and every way in which a row may have no figures; one at chance has them."""
    rows = comparison().variants
    chance = "answers no better than chance: 10.05% with 10 classes"
    lost = change(rows[3], status="failed", reason=chance, accuracy=0.1005, delta_pp=-78.32, latency_ms=None)
    others = (empty("onnx.uint8", "failed", "killed: out of memory"), empty("onnx.u8s8", "skipped", "onnx.fp32 failed"))
    base = comparison(
        dataset={**FULL, "test_images": 2000, "sample": True},
        variants=(*rows[:3], lost, *others, *rows[6:]),
        gates=(Gate("onnx.int8", "accuracy", "min", 0.85, 0.1005, False),),
        failures=(Failure("latency.onnx", "failed", "no answer in 900 s"),),
        warnings=(BusyMachine(1.1),),
        decision=Decision("ship_nothing", "", (ReferenceUnsound(),)),
    )
    return replace(base, noise=(), conversion_steps=base.conversion_steps[:2])


def nothing():
    """Rows alone, with no figure anywhere."""
    rows = tuple(empty(name, "skipped", "dataset failed") for name in FIGURES)
    about = {"name": "", "test_images": 0, "sample": False, "classes": []}
    return Comparison(SCHEMA, "broken", "keras.fp32", about, rows, {}, {}, ())


def hundred():
    """A sweep of 100 recipes: each a little faster, smaller or worse than the next."""
    base = variant("onnx.int8")
    rows = [variant("keras.fp32"), variant("onnx.fp32")]
    for number in range(98):
        factor = 0.5 + (37 * number % 98) / 98
        paired = pairs(150 + number, 100)
        right = paired.both_right + paired.only_variant
        latency = Latency(0.3 * factor, 0.34 * factor, 0.5 * factor, 420)
        variant_row = change(
            base, name=f"onnx.r{number:02}", recipe=f"r{number:02}", accuracy=right / 10_000, paired=paired
        )
        variant_row = change(variant_row, interval=statistics.wilson_interval(right, 10_000), delta_pp=paired.delta_pp)
        rows.append(replace(variant_row, latency_ms=latency, timings=(), size_bytes=int(90_000 + 500 * number)))
    rows = assess(rows)
    steps = (STEPS[0], *(replace(STEPS[2], after=row.name, paired=row.paired) for row in rows[2:]))
    rejections = tuple(Rejection(row.name, (GateFails("drop_pp", "max", 0.5, 0.6),)) for row in rows[1:])
    named = Decision("ship", "onnx.r00", (ShownGoodEnough(rows[2].assessments),), rejections)
    return comparison(variants=tuple(rows), conversion_steps=steps, gates=tuple(gates(rows)), decision=named)


def of(right, images):
    """All variants alike on a test set of `images`, of which each gets `right` right."""
    paired = pairs(0, 0, right, images)
    counts = tuple(Count(right if label == 0 else 0, images if label == 0 else 0) for label in range(10))
    metrics = {
        "accuracy": right / images,
        "interval": statistics.wilson_interval(right, images),
        "paired": paired,
        "losing": (),
    }
    metrics |= {"classes": counts, "drift": drift(0, 0.0, images), "delta_pp": 0.0, "agreement": 1.0, "ece": 0.0}
    rows = tuple(assess([change(variant(name), **metrics) for name in FIGURES]))
    steps = tuple(replace(item, drift=metrics["drift"], paired=paired) for item in STEPS)
    checked = tuple(gates(rows))
    return comparison(
        dataset={**FULL, "test_images": images},
        variants=rows,
        conversion_steps=steps,
        gates=checked,
        decision=decide.decide(rows, checked, TimingNoise(max(TWICE.values())), EXPERIMENT),
    )


def hostile():
    """Markup wherever a text comes from outside: a framework's reason, a class, a host, a version."""
    rows = (*comparison().variants[:-1], empty("torch.uint8", "unsupported", MARKUP))
    names = [MARKUP, *CLASSES[1:]]
    versions = {"keras": {"keras": MARKUP}}
    base = comparison(variants=rows, dataset={**FULL, "name": MARKUP, "classes": names}, versions=versions)
    rejections = (Rejection(MARKUP, (GateFails(MARKUP, "min", 1.0, 0.5),)),)
    decision = Decision("ship", "onnx.u8s8", (ComparedWith(MARKUP, Price(2.0, False, 2.0)),), rejections)
    warnings = (AnswersOfOtherCpus((AnsweringCpu(MARKUP, ("avx2",)),)),)
    return replace(base, host={**HOST, "cpu": MARKUP}, warnings=warnings, decision=decision)


def files(made):
    """The texts of all files of a comparison, as `comparison_folder.publish` takes them."""
    return report_files.texts(made) | {"comparison.html": "<!doctype html>a page", "changed.csv": "variant,sample\n"}


MARKUP = "<script>alert('x')</script><img src=http://example.org/x>\" onload=\"y"


def seconds(made):
    """420 calls of each variant that was timed, a few of them stalled."""
    rows = [row for row in made.variants if row.latency_ms is not None]
    return {row.name: tuple(calls(row.latency_ms.p50, number)) for number, row in enumerate(rows)}


def calls(p50, seed):
    times = p50 / 1000 * np.random.default_rng(seed).lognormal(0, 0.07, 420)
    times[::105] *= 12
    return times.tolist()


def changed(made, count=30):
    """Changed answers of each quantized variant that has answers, the surest first."""
    rows = [row for row in made.variants if row.quantized and row.drift is not None]
    return {row.name: tuple(one(number, count) for number in range(count)) for row in rows}


def one(number, count):
    label, before = number % 10, (number + number % 3) % 10
    return Changed(37 * number % 200, label, before, (before + 1 + number % 4) % 10, 0.3, 0.9 - number / count / 2)


def pictures(count, seed=0):
    """Images of soft blobs, (count, 32, 32, 3): as large in a file as photographs are."""
    rough = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3))
    soft = np.repeat(np.repeat(rough, 4, axis=1), 4, axis=2)
    noise = np.random.default_rng(seed + 1).integers(-12, 12, soft.shape)
    return np.clip(soft + noise, 0, 255).astype(np.uint8)


def make_page_data(made, **changes):
    text = "# The default experiment\nname: resnet8-cifar10\ncalibration: {images: 1000, seed: 0}\n"
    whole = PageData(changed(made), seconds(made), pictures(200), pictures(1000, 2), text)
    return replace(whole, **changes)


def bare():
    """What there is of the raw evidence where nothing ran."""
    return PageData({}, {}, None, None, "")
