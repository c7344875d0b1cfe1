"""The user's own Python file: called once per split, in its own folder; its errors are reported with their line."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.images.keras.data_makers import User, read_about

PLAIN = """
import numpy as np
from helper import OFFSET

def samples(split):
    with open("../calls.txt", "a") as log:
        log.write(split + " ")
    for number in range({"train": 20, "test": 8}[split]):
        yield np.full((2, 3), number + OFFSET + 100 * (split == "test"), np.uint8), number % 2
"""

TFRECORD = """
import tensorflow as tf

FEATURES = {"pixels": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}

def samples(split):
    for record in tf.data.TFRecordDataset(f"{split}.tfrecord"):
        parsed = tf.io.parse_single_example(record, FEATURES)
        yield tf.reshape(tf.io.decode_raw(parsed["pixels"], tf.uint8), (4, 4, 3)), parsed["label"]
"""

SNAPSHOT = """
import tensorflow as tf

def samples(split):
    for features, label in tf.data.Dataset.load(split):
        yield (features["left"], features["right"]), label
"""


def test_the_function_is_called_once_a_split_and_nothing_of_it_stays(user: User):
    user.text("load_data.py", PLAIN)
    user.text("helper.py", "OFFSET = 7\n")
    before = list(sys.path), Path.cwd()
    out = user.run("python")
    assert (user.source / "calls.txt").read_text() == "train test "
    assert np.load(out / "x_train_0.npy")[:, 0, 0].tolist() == list(range(7, 27))
    assert np.load(out / "x_test_0.npy")[:, 1, 2].tolist() == list(range(107, 115))
    assert np.load(out / "y_test.npy").tolist() == [0, 1] * 4
    assert (list(sys.path), Path.cwd()) == before
    assert sorted(path.name for path in user.files.iterdir()) == ["helper.py", "load_data.py"], "no compiled files"


def test_a_tfrecord(user: User):
    pictures = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 3)).astype(np.uint8)
    for split, some in {"train": pictures[:20], "test": pictures[20:]}.items():
        with tf.io.TFRecordWriter(str(user.files / f"{split}.tfrecord")) as file:
            for number, picture in enumerate(some):
                pixels = tf.train.Feature(bytes_list=tf.train.BytesList(value=[picture.tobytes()]))
                label = tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 3]))
                features = tf.train.Features(feature={"pixels": pixels, "label": label})
                file.write(tf.train.Example(features=features).SerializeToString())
    user.text("records.py", TFRECORD)
    out = user.run("python")
    assert (np.load(out / "x_train_0.npy") == pictures[:20]).all()
    assert (np.load(out / "x_test_0.npy") == pictures[20:]).all()
    assert (read_about(out)["task"], np.load(out / "y_train.npy").tolist()[:4]) == ("classification", [0, 1, 2, 0])


def test_a_snapshot_of_tf_data_with_two_inputs(user: User):
    left, right = np.arange(60, dtype=np.float32).reshape(20, 3), np.arange(20, dtype=np.int32).reshape(20, 1)
    for split, by in (("train", 0), ("test", 500)):
        sets = ({"left": left + by, "right": right + by}, np.linspace(0, 1, 20))
        tf.data.Dataset.from_tensor_slices(sets).save(str(user.files / split))
    user.text("load_data.py", SNAPSHOT)
    out = user.run("python", dtype=["float32", "int32"])
    assert (np.load(out / "x_train_0.npy") == left).all()
    assert (np.load(out / "x_test_1.npy") == right + 500).all()
    assert np.load(out / "x_test_1.npy").dtype == np.int32
    assert read_about(out)["task"] == "regression"


def test_a_dict_of_inputs_keeps_its_names(user: User):
    """Also where the other split has them in another order."""
    text = "def samples(split):\n    for n in range(9):\n        pair = {'b': [1.0 * n], 'a': [split == 'test', n]}\n"
    text += "        yield dict(reversed(pair.items())) if split == 'test' else pair, n % 2\n"
    user.text("load_data.py", text)
    out = user.run("python")
    assert read_about(out)["inputs"] == ["b", "a"]
    for split in ("train", "test"):
        assert np.load(out / f"x_{split}_0.npy")[:, 0].tolist() == list(range(9))
        assert np.load(out / f"x_{split}_1.npy")[:, 0].tolist() == [split == "test"] * 9


def test_a_split_that_yields_nothing_is_drawn_from_the_other(user: User):
    user.text(
        "load_data.py", "def samples(split):\n    return [([float(n)], None) for n in range(20)] * (split == 'train')\n"
    )
    out = user.run("python")
    assert len(np.load(out / "x_test_0.npy")) == 4
    assert read_about(out)["task"] == "fidelity"


def test_preprocessing_is_for_the_inputs_that_are_named(user: User):
    text = "import numpy as np\ndef samples(split):\n    for n in range(9):\n"
    text += "        yield (np.full((4, 4, 3), n + 9 * (split == 'test'), np.uint8), np.float32([n])), n % 2\n"
    user.text("load_data.py", text)
    out = user.run("python", resize=[2, 2], scale=0.5)
    assert np.load(out / "x_train_0.npy").shape == (9, 2, 2, 3)
    assert np.load(out / "x_train_1.npy")[:, 0].tolist() == list(range(9))
    assert np.load(user.run("python", apply_to=[1], scale=0.5) / "x_train_1.npy")[3, 0] == 1.5


WRONG = [
    ("def samples(split)\n", "load_data.py, line 1: SyntaxError: "),
    ("import nothing_like_it\n", "load_data.py, line 1: ModuleNotFoundError: No module named 'nothing_like_it'"),
    ("x = 1\n", "load_data.py has no function samples(split): add it"),
    ("def samples(split):\n    raise KeyError('a\\nb')\n", "load_data.py, line 2: KeyError: "),
    ("def samples(split):\n    yield [1.0], 0\n    {}['x']\n", "load_data.py, line 3: KeyError: 'x'"),
    ("import sys\nsys.exit(3)\n", "load_data.py, line 2: SystemExit: 3"),
    ("def samples(split):\n    return 3\n", "load_data.py: TypeError: 'int' object is not iterable"),
    ("def samples(split):\n    yield [1.0]\n", "sample 0 of samples('train') must be a pair (inputs, label)"),
    ("def samples(split):\n    yield ['a'], 0\n", "sample 0 of samples('train') is of type <U1: an input must be"),
    ("def samples(split):\n    yield [1.0], 0\n    yield [1.0, 2.0], 0\n", "sample 1 of samples('train'): input 0 has"),
    ("def samples(split):\n    yield [1.0], 0\n    yield [1], 0\n", "sample 1 of samples('train'): input 0 is int64"),
    ("def samples(split):\n    yield [1.0], 0\n    yield ([1.0], [1.0]), 0\n", "sample 1 of samples('train') has 2 in"),
    ("def samples(split):\n    yield [1.0], 0\n    yield [float('nan')], 0\n", "sample 1 of samples('train') has NaN"),
    ("def samples(split):\n    yield [1.0], 0\n    yield [2.0], None\n", "sample 1 of samples('train') has no label"),
    ("def samples(split):\n    yield [1.0], 0\n    yield [2.0], -4\n", "sample 1 of samples('train'): its label -4 is"),
    (
        "def samples(split):\n    yield {'a': [1.0]}, 0\n    yield {'b': [1.0]}, 0\n",
        "sample 1 of samples('train') has the inputs b, the first sample has the inputs a: yield the same for each",
    ),
    (
        "def samples(split):\n    yield [1.0], 0\n    yield {'b': [1.0]}, 0\n",
        "sample 1 of samples('train') has the inputs b, the first sample has inputs without names",
    ),
    (
        "def samples(split):\n    yield [1.0], {'a': 0, 'b': 1}\n    yield [2.0], {'a': 0}\n",
        "sample 1 of samples('train') has the labels a, the first sample has the labels a, b: yield the same for each",
    ),
    ("def samples(split):\n    return []\n", "the data set has no samples"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_files_that_are_wrong(user: User, text: str, message: str):
    user.text("load_data.py", text)
    assert user.error_of("python").startswith(message)


def test_which_file_it_is(user: User):
    for name in ("a.py", "b c.py"):
        user.text(name, PLAIN)
    user.text("helper.py", "OFFSET = 1\n")
    assert (
        user.error_of("python")
        == "data.script must name the Python file with samples(split); there are: a.py, b c.py, helper.py"
    )
    assert len(np.load(user.run("python", script="b c.py") / "x_test_0.npy")) == 8
    assert user.error_of("python", script="d.py").startswith("data.script must name the Python file")
