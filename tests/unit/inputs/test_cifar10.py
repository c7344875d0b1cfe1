"""CIFAR-10 from its two published forms: the same arrays from both, and a plain word where an archive is neither."""

import io
import json

import numpy as np
import pytest
from cifar10_files import binary, parts, small_arrays, tarball
from PIL import Image

from driver.inputs import cifar10
from shared.errors import CrossquantError


@pytest.fixture
def arrays():
    return small_arrays()


def sprites(arrays):
    """One image a row of 1024 pixels, and the labels as JSON, in the package's spelling."""
    files = {}
    for name, images, _ in parts(arrays):
        file = io.BytesIO()
        Image.fromarray(images.reshape(len(images), 1024, 3)).save(file, "PNG")
        files[f"package/{name}.png"] = file.getvalue()
    for part in ("train", "test"):
        files[f"package/{part}_lables.json"] = json.dumps(arrays[f"y_{part}"].tolist()).encode()
    return files


FORMS = pytest.mark.parametrize("form", [binary, sprites])


@FORMS
def test_each_form_gives_the_same_arrays(tmp_path, arrays, form):
    decoded = cifar10.decode(tarball(tmp_path / "archive", form(arrays)))
    assert decoded.keys() == arrays.keys()
    for name, wanted in arrays.items():
        assert decoded[name].dtype == np.uint8
        np.testing.assert_array_equal(decoded[name], wanted)
    cifar10.check_arrays(decoded, cifar10.hash_arrays(arrays), "archive")


def test_sums_are_of_the_bytes_in_c_order():
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    wanted = {"a": "17e88db187afd62c16e5debf3e6527cd006bc012bc90b51a810cd80c2d511f43"}
    assert cifar10.hash_arrays({"a": array}) == wanted
    assert cifar10.hash_arrays({"a": np.asfortranarray(array)}) == wanted


def test_another_data_set_is_named(arrays):
    wanted = cifar10.hash_arrays(arrays)
    arrays["x_test"][0, 0, 0, 0] ^= 1
    with pytest.raises(CrossquantError) as caught:
        cifar10.check_arrays(arrays, wanted, "a.tar.gz")
    digest = cifar10.hash_arrays(arrays)["x_test"]
    assert str(caught.value) == (
        f"a.tar.gz: x_test has the SHA-256 {digest[:12]}, {wanted['x_test'][:12]} is expected: "
        "it is another data set, or damaged; delete it and run again"
    )


def test_a_sum_without_an_array_is_refused(arrays):
    with pytest.raises(CrossquantError, match="z_test has the SHA-256 of nothing, abc is expected"):
        cifar10.check_arrays(arrays, {"z_test": "abc"}, "a.tar.gz")


def test_an_archive_of_something_else(tmp_path):
    path = tarball(tmp_path / "other.tar.gz", {"readme": b"no images"})
    with pytest.raises(CrossquantError) as caught:
        cifar10.decode(path)
    assert (
        str(caught.value)
        == f"{path} holds no CIFAR-10: neither test_batch.bin nor test_batch.png; delete it and run again"
    )


def unreadable(path):
    """The message for an archive that can't be read."""
    with pytest.raises(CrossquantError) as caught:
        cifar10.decode(path)
    message = str(caught.value)
    assert message.startswith(f"{path} can't be read: ")
    assert message.endswith("; delete it and run again")
    assert "\n" not in message
    return message


def test_a_file_that_is_no_archive(tmp_path):
    path = tmp_path / "page.tar.gz"
    path.write_text("<html>Please log in</html>")
    unreadable(path)


@FORMS
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_truncated_archive(tmp_path, arrays, form, share):
    path = tarball(tmp_path / "cut.tar.gz", form(arrays))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    unreadable(path)


@FORMS
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_damaged_archive_never_passes(tmp_path, arrays, form, share):
    """Whether the decompressor notices, or the tar headers, or only the sums of the arrays, depends on where."""
    arrays |= {name: arrays[name] // 64 * 64 for name in ("x_train", "x_test")}  # so that it is compressed
    path = tarball(tmp_path / "damaged.tar.gz", form(arrays))
    damaged = bytearray(path.read_bytes())
    start = int(share * len(damaged))
    damaged[start : start + 64] = b"\xff" * 64
    path.write_bytes(damaged)
    with pytest.raises(CrossquantError):
        cifar10.check_arrays(cifar10.decode(path), cifar10.hash_arrays(arrays), str(path))


@FORMS
def test_an_archive_without_one_of_its_files(tmp_path, arrays, form):
    files = form(arrays)
    del files[next(name for name in files if "data_batch_3" in name)]
    assert "data_batch_3" in unreadable(tarball(tmp_path / "archive", files))


def test_a_record_too_short(tmp_path, arrays):
    files = binary(arrays)
    files["cifar-10-batches-bin/test_batch.bin"] = files["cifar-10-batches-bin/test_batch.bin"][:-1]
    unreadable(tarball(tmp_path / "archive", files))


def test_a_picture_that_is_none(tmp_path, arrays):
    unreadable(tarball(tmp_path / "archive", sprites(arrays) | {"package/test_batch.png": b"no picture"}))
