"""A model and a data set that don't fit: the error names both sides."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from shared.data import samples
from shared.data import signature as signatures
from shared.data.signature import Signature, Tensor
from shared.errors import CrossquantError
from shared.measure.fixed_batch import in_batches_of

IMAGE = Tensor("image", "float32", (4, 4, 3))


def given(folder: Path, *arrays: np.ndarray, labels: list | np.ndarray | None = None, **about: object) -> Path:
    folder.mkdir(exist_ok=True)
    for number, array in enumerate(arrays):
        np.save(folder / samples.file(number), array)
    facts = samples.summarize_labels(None if labels is None else np.asarray(labels))
    (folder / samples.ABOUT).write_text(json.dumps(about | {"labels": facts and asdict(facts)}))
    return folder


def check(signature: Signature, folder: Path) -> str:
    """The error's text; "" where they fit."""
    try:
        signatures.check_fits(signature, samples.about(folder), folder)
    except CrossquantError as error:
        return str(error)
    return ""


def answering(*shape: int | None, takes: Tensor = IMAGE) -> Signature:
    return Signature((takes,), (Tensor("answer", "float32", shape),))


IMAGES = np.zeros((4, 4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    ("signature", "about", "labels", "message"),
    [
        (answering(10), {}, [0, 9, 1, 1], ""),
        (answering(None), {}, [0, 9, 1, 1], ""),
        (answering(4, 4, 3), {"task": "segmentation"}, np.full((4, 4, 4), 2), ""),
        (answering(3, 4, 4), {"task": "segmentation"}, np.full((4, 4, 4), 2), ""),
        (answering(4, 4), {"task": "segmentation"}, np.full((4, 4, 4), 1), ""),
        (answering(None, None, 3), {"task": "segmentation"}, np.full((4, 4, 4), 2), ""),
        (
            answering(4, 4, 3),
            {"task": "segmentation"},
            np.full((4, 4, 4), 3),
            "the model answers 3 classes at each position, and a label is 3: set data.ignored_label to the "
            "label that doesn't count, or data.label_offset to the first class's number",
        ),
        (
            answering(2, 2, 3),
            {"task": "segmentation"},
            np.full((4, 4, 4), 2),
            "the model answers (2, 2, 3), the data set has labels of (4, 4): it must answer a value for each class at "
            "each of these positions; resize the labels, or set data.task: fidelity",
        ),
        (
            answering(16, 4),
            {"task": "regression"},
            np.zeros((4, 10)),
            "the model answers (16, 4), the data set has labels of (10,): set data.task: detection if the labels are "
            "boxes with their classes",
        ),
        (answering(6, 2), {"task": "forecasting"}, np.zeros((4, 6, 2)), ""),
        (answering(1), {}, [0, 1, 1, 1], ""),
        (answering(10), {}, None, ""),
        (answering(2), {}, [0, 2, 1, 1], "the model answers (2,), the data set has 3 classes: fix the labels"),
        (answering(1), {}, [0, 2, 1, 1], "the model answers (1,), the data set has 3 classes: fix the labels"),
        (
            answering(5, 10),
            {},
            [0, 2, 1, 1],
            "the model answers (5, 10), the data set has 3 classes: set the data.task that the model has",
        ),
        (
            answering(3),
            {},
            [0, -1, 1, 1],
            "a label is -1: classes are counted from 0; set data.label_offset: -1",
        ),
        (
            answering(3),
            {},
            [1, 3, 2, 1],
            "the labels start at 1, and the model counts its 3 classes from 0: set data.label_offset: 1",
        ),
        (
            answering(6),
            {"classes": ["bee", "dog", "elk"]},
            [0, 1, 2, 2],
            "the model answers 6 classes, the data names 3 (bee, dog, elk): list all 6 in data.classes, in the order "
            "of the model's answers",
        ),
        (answering(1), {"classes": ["bee", "dog"]}, [0, 1, 1, 1], ""),
        (
            Signature((IMAGE,), (Tensor("box", "float32", (2, 4)), Tensor("kind", "float32", (3,)))),
            {},
            [0, 1, 2, 2],
            "the model answers (2, 4), the data set has 3 classes: output 1 would fit, set data.evaluated_output: 1",
        ),
        (
            Signature((IMAGE,), (Tensor("kind", "float32", (3,)), Tensor("sort", "float32", (3,)))),
            {"label": "sort"},
            [0, 1, 2, 2],
            "the labels are named as output 'sort' of the model: set data.evaluated_output: 1",
        ),
        (
            Signature((IMAGE,), (Tensor("argmax", "int64", ()),)),
            {},
            [0, 1, 2, 2],
            "output 'argmax' is a class number, chosen inside of the model: give the model without that last layer "
            "(argmax), or set data.task: fidelity",
        ),
        (answering(3), {"task": "multilabel"}, np.zeros((4, 3)), ""),
        (
            answering(3),
            {"task": "multilabel"},
            np.zeros((4, 2)),
            "the model answers (3,), the data set has labels of (2,): give 3 values a sample, or the data.task that "
            "the model has",
        ),
        (
            Signature((IMAGE,), (Tensor("scores", "float32", (3,)), Tensor("box", "float32", (2, 2)))),
            {"task": "regression"},
            np.zeros((4, 4)),
            "the model answers (3,), the data set has labels of (4,): output 1 would fit, set data.evaluated_output: 1",
        ),
        (answering(1), {"task": "regression"}, np.zeros((4, 1)), ""),
        (answering(16), {"task": "embedding"}, [7, 7, 9000, 9000], ""),
        (answering(4, 4), {"task": "embedding"}, np.zeros((4, 2)), ""),
        (answering(None), {"task": "embedding"}, [7, 7, 9, 9], ""),
        (
            answering(1),
            {"task": "embedding"},
            [7, 7, 9, 9],
            "the model answers (1,), an embedding is a vector of several values: set the data.task that the model has",
        ),
        (
            Signature((IMAGE,), (Tensor("sure", "float32", (1,)), Tensor("vector", "float32", (64,)))),
            {"task": "embedding"},
            [7, 7, 9, 9],
            "the model answers (1,), an embedding is a vector of several values: output 1 would fit, set "
            "data.evaluated_output: 1",
        ),
        (
            answering(16),
            {},
            [7, 7, 40, 40],
            "the model answers (16,), the data set has 41 classes: fix the labels, or data.task: embedding if labels "
            "only say which samples belong together",
        ),
        (answering(4, 4, 3), {"task": "reconstruction"}, None, ""),
        (
            answering(4, 4, 1),
            {"task": "reconstruction"},
            None,
            "a reconstruction must have the shape of its input: (4, 4, 3), not (4, 4, 1)",
        ),
        (answering(7, 7), {"task": "fidelity"}, None, ""),
        (
            answering(2),
            {"evaluated_output": 1},
            [0, 1, 1, 1],
            "output 1 is to be evaluated, the model has answer (2,): fix `evaluated_output`",
        ),
        (answering(2, takes=Tensor("x", "uint8", (4, 4, 3))), {}, [0, 1, 1, 1], ""),
        (
            answering(2, takes=Tensor("x", "uint8", (4, 4, 3))),
            {"dtypes": ["float32"]},
            [0, 1, 1, 1],
            "input 'x' of the model takes uint8, the data set's is declared as float32: "
            "declare uint8 for it in data.dtype, or nothing",
        ),
        (answering(2, takes=Tensor("x", "uint8", (4, 4, 3))), {"dtypes": ["uint8"]}, [0, 1, 1, 1], ""),
        (answering(2, takes=Tensor("x", "float32", (None, None, 3))), {}, [0, 1, 1, 1], ""),
        (
            answering(2, takes=Tensor("x", "float32", (None, 5, 3))),
            {},
            [0, 1, 1, 1],
            "input 'x' of the model takes (any, 5, 3), the data set has (4, 4, 3)",
        ),
        (
            answering(2, takes=Tensor("x", "float32", (3, 4, 4))),
            {},
            [0, 1, 1, 1],
            "input 'x' of the model takes (3, 4, 4), the data set has (4, 4, 3): "
            "channels first and last are swapped, set the data's layout",
        ),
    ],
)
def test_what_does_not_fit(signature: Signature, about: dict, labels: list | None, message: str, tmp_path: Path):
    assert check(signature, given(tmp_path / "data", IMAGES, labels=labels, **about)) == message


@pytest.mark.parametrize(
    ("declared", "shape", "hint"),
    [
        ((28, 28, 1), (28, 28), ": set data.color: gray"),
        ((28, 28, 1), (28, 28, 3), ": set data.color: gray"),
        ((28, 28, 3), (32, 30, 3), ": set data.resize: [28, 28]"),
        ((28, 28, 3), (28, 28, 1), ": repeat the gray channel three times in the data"),
        ((28, 28, 1), (784,), ": the number of values is right, reshape the data"),
        ((28, 28, 1), (30,), ""),
    ],
)
def test_the_setting_that_makes_samples_fit(declared: tuple, shape: tuple, hint: str, tmp_path: Path):
    folder = given(tmp_path / "data", np.zeros((4, *shape), np.uint8), labels=[0, 1, 1, 1])
    message = check(answering(2, takes=Tensor("x", "float32", declared)), folder)
    assert message.partition(")")[2].partition(")")[2] == hint


TWO = Signature((Tensor("query", "float32", (8,)), Tensor("candidate", "float32", (8,))), answering(2).outputs)


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("query", "candidate"), [0, 1]),
        (("candidate", "query"), [1, 0]),
        (("left", "right"), [0, 1]),
        ((), [0, 1]),
        (("query", "candidate", "weight"), [0, 1]),
    ],
)
def test_inputs_are_matched_by_name_where_the_names_are_the_models(names: tuple[str, ...], order: list[int]):
    assert signatures.match_names(TWO, names) == order


def test_names_that_are_the_models_in_part_are_refused():
    with pytest.raises(CrossquantError) as caught:
        signatures.match_names(TWO, ("query", "right"))
    assert str(caught.value) == (
        "the model's inputs are named query, candidate, the data's arrays query, right: give all of them the model's "
        "names, or none"
    )


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("left", "right"), "query takes left, candidate takes right"),
        ((), "query takes array 0, candidate takes array 1"),
        (("query", "candidate"), ""),
    ],
)
def test_the_pairing_is_told_where_names_do_not(names: tuple[str, ...], text: str):
    expected = f"the inputs take the arrays of the data in their order: {text}" if text else ""
    assert signatures.describe_pairing(TWO, names) == expected
    assert signatures.describe_pairing(answering(2), names) == "", "one input needs no pairing"


def test_the_number_of_inputs(tmp_path: Path):
    two = Signature((IMAGE, Tensor("age", "float32", (1,))), answering(2).outputs)
    folder = given(tmp_path / "data", IMAGES, labels=[0, 1, 1, 1])
    assert check(two, folder) == "the model has 2 inputs (image (4, 4, 3), age (1,)), the data set has 1"
    assert check(two, given(tmp_path / "data", IMAGES, np.zeros((4, 1)), labels=[0, 1, 1, 1])) == ""


def test_a_signature_is_read_as_it_was_written(tmp_path: Path):
    written = Signature((Tensor("x", "float32", (None, 3)),), (Tensor("y", "float32", ()),), batch=4)
    signatures.write(written, tmp_path)
    assert signatures.load(tmp_path) == written


@pytest.mark.parametrize("count", [1, 3, 4, 6, 9])
def test_a_fixed_batch_is_filled_up(count: int):
    seen = []

    def model(batch: samples.Batch) -> samples.Batch:
        seen.append(len(batch[0]))
        return (batch[0] * 2, batch[1].sum(axis=1))

    first, second = np.arange(count * 2.0).reshape(count, 2), np.ones((count, 3))
    doubled, sums = in_batches_of(4, model)((first, second))
    np.testing.assert_array_equal(doubled, first * 2)
    np.testing.assert_array_equal(sums, np.full(count, 3.0))
    assert set(seen) == {4}


@pytest.mark.parametrize(
    ("takes", "stored", "said"),
    [
        ("int64", np.array([[1], [2]], np.int64), ""),
        ("int32", np.array([[1], [2]], np.int64), ""),
        ("float32", np.array([[1], [2]], np.int64), ""),
        ("float16", np.array([[1.5], [2]], np.float32), ""),
        ("bool", np.array([[0], [1]], np.uint8), ""),
        ("bool", np.array([[0], [2]], np.uint8), "takes bool, the data set has uint8 from 0 to 2: fix the data"),
        ("uint8", np.array([[1], [300]], np.int64), "takes uint8, the data set has int64 from 1 to 300: fix the data"),
        (
            "int64",
            np.array([[1.5], [2]], np.float32),
            "takes int64, the data set has float32: declare int64 for it in data.dtype if its values are whole numbers",
        ),
    ],
)
def test_types_are_those_of_the_model_and_of_the_data(takes: str, stored: np.ndarray, said: str, tmp_path: Path):
    signature = Signature((Tensor("ids", takes, (1,)),), answering(2).outputs)
    folder = given(tmp_path / "data", stored, labels=[0, 1])
    assert check(signature, folder) == (f"input 'ids' of the model {said}" if said else "")


def test_open_sizes_are_those_of_the_data(tmp_path: Path):
    signature = Signature((Tensor("x", "float32", (None, None, 3)),), answering(2).outputs)
    folder = given(tmp_path / "data", IMAGES, labels=[0, 1, 1, 1])
    assert signatures.with_sizes(signature, folder).inputs[0].seen == (4, 4, 3)


def with_two_outputs(first: str, second: str, folder: Path) -> str:
    """Check labels of these names for the outputs 0 and 1 of a model whose outputs are `boxes` and `classes`."""
    outputs = (Tensor("boxes", "float32", (4,)), Tensor("classes", "float32", (3,)))
    further = {"output": 1, "name": second, "task": "classification", "labels": {"shape": [], "low": 0, "high": 2}}
    about = {"task": "regression", "label": first, "further_outputs": [further]}
    return check(Signature((IMAGE,), outputs), given(folder, IMAGES, labels=np.zeros((4, 4)), **about))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("boxes", "classes"), ""),
        (("", ""), ""),
        (
            ("classes", "boxes"),
            "the labels are named as other outputs of the model, where classes is output 1, boxes is output 0: set "
            "data.outputs to these numbers, in the order of the labels in your data",
        ),
        (
            ("classes", "kind"),
            "the model's outputs are named boxes, classes, the labels classes, kind: give all of them the model's "
            "names, or none",
        ),
    ],
)
def test_labels_of_two_outputs_are_paired_by_their_names(tmp_path: Path, names: tuple, message: str):
    assert with_two_outputs(*names, tmp_path / "data") == message


def test_each_output_must_fit_its_labels(tmp_path: Path):
    outputs = (Tensor("boxes", "float32", (4,)), Tensor("classes", "float32", (2,)))
    further = {"output": 1, "name": "", "task": "classification", "labels": {"shape": [], "low": 0, "high": 2}}
    folder = given(tmp_path / "data", IMAGES, labels=np.zeros((4, 4)), task="regression", further_outputs=[further])
    assert check(Signature((IMAGE,), outputs), folder) == (
        "the model answers (2,), the data set has 3 classes: fix the labels"
    )


@pytest.mark.parametrize(
    ("options", "shapes", "classes", "message"),
    [
        ({}, [(8, 4), (8, 3)], "abc", ""),
        ({}, [(None, 4), (None, 3)], "abc", ""),
        ({"scores": 0}, [(8, 7)], "abc", ""),
        ({}, [(8, 4), (8, 3)], "", ""),
        ({}, [(8, 4), (8, 3)], "ab", "output 1 has 3 scores a box, of 3 classes, and there are 2: fix `detection` "),
        ({"scores": 2}, [(8, 4), (8, 3)], "abc", "detection.scores is 2, and the model has 2 outputs, from 0"),
        ({}, [(8, 3), (8, 4)], "abc", "output 0 is (8, 3) a sample: a box must have 4 values; set detection.boxes to"),
    ],
)
def test_a_detector_s_outputs_must_fit(tmp_path: Path, options: dict, shapes: list, classes: str, message: str):
    outputs = tuple(Tensor(str(number), "float32", shape) for number, shape in enumerate(shapes))
    about = {"task": "detection", "classes": list(classes), "detection": options}
    folder = given(tmp_path / "data", IMAGES, labels=np.zeros((4, 2, 5)), **about)
    found = check(Signature((IMAGE,), outputs), folder)
    assert found.startswith(message)
    assert bool(found) is bool(message)
