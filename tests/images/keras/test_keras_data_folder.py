"""Pictures in a folder per class, and the declared preprocessing."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images.keras.data_makers import User, pixels, read_about


def both(user: User, name: str = "a", shape: tuple[int, ...] = (8, 6, 3)) -> np.ndarray:
    """One picture of class `name` to train and one to test by, and another class; the first one's pixels."""
    first = pixels(0, *shape)
    user.image(f"train/{name}/1.png", first)
    user.image("train/z/2.png", pixels(1, *shape))
    user.image(f"test/{name}/3.png", pixels(2, *shape))
    user.image("test/z/4.png", pixels(3, *shape))
    return first


def array(out: Path, split: str = "train") -> np.ndarray:
    return np.load(out / f"x_{split}_0.npy")


def test_classes_are_the_folders_in_order_and_names_are_kept_verbatim(user: User):
    first = both(user, "<b>Größe & 猫 x")
    out = user.run("folder")
    assert read_about(out)["classes"] == ["<b>Größe & 猫 x", "z"]
    assert (array(out)[0] == first).all()
    assert array(out).dtype == np.uint8
    assert read_about(out)["unit"] == "images"
    assert np.load(out / "y_train.npy").tolist() == [0, 1]


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_without_images_keeps_its_number(user: User, split: str):
    both(user)
    (user.files / split / "empty").mkdir()
    (user.files / split / "empty" / ".keep").touch()
    out = user.run("folder")
    assert read_about(out)["classes"] == ["a", "empty", "z"]
    assert np.load(out / "y_train.npy").tolist() == np.load(out / "y_test.npy").tolist() == [0, 2]


@pytest.mark.parametrize("name", ["a b", "ünï-kö∂", "日本", "<script>alert(1)<", "a'\"b", "%s{0}", "new\nline"])
def test_names_with_spaces_markup_and_other_letters(user: User, name: str):
    both(user, name)
    user.image(f"train/{name}/{name}.jpg", pixels(5, 8, 6, 3))
    out = user.run("folder")
    assert read_about(out)["classes"] == sorted([name, "z"])
    (user.files / "train" / name / f"{name}.jpg").write_bytes(b"no picture")
    assert "can't be read: its content is not an image" in user.error_of("folder")


@pytest.mark.parametrize("other", ["val", "validation"])
def test_a_validation_set_tests_where_there_is_no_other(user: User, other: str):
    both(user)
    (user.files / "test").rename(user.files / other)
    assert (array(user.run("folder"), "test")[0] == pixels(2, 8, 6, 3)).all()
    user.image("test/a/9.png", pixels(9, 8, 6, 3))
    out = user.run("folder")
    assert len(array(out, "test")) == 1, "the test set is taken, not the validation set"
    assert (array(out, "test")[0] == pixels(9, 8, 6, 3)).all()


def test_folders_of_classes_alone_are_split(user: User):
    for number in range(40):
        user.image(f"pets/{'cat' if number % 2 else 'train'}/{number}.png", pixels(number, 8, 6, 3))
    out = user.run("folder", test_share=0.25)
    assert read_about(out)["classes"] == ["cat", "train"], "a class may be called so"
    assert np.bincount(np.load(out / "y_test.npy")).tolist() == [5, 5]


def test_pictures_in_no_folders_of_classes_have_no_labels(user: User):
    for number in range(10):
        user.image(f"{number}.png", pixels(number, 8, 6, 3))
    out = user.run("folder", task="reconstruction")
    assert read_about(out)["task"] == "reconstruction"
    assert len(array(out)) == 8
    assert read_about(user.run("folder"))["task"] == "fidelity"


@pytest.mark.parametrize("suffix", ["png", "jpg", "JPEG", "webp", "bmp", "gif"])
def test_every_format_is_decoded_to_three_channels(user: User, suffix: str):
    both(user)
    grey = pixels(7, 8, 6)
    user.image(f"train/a/0.{suffix}", grey)
    stored = array(user.run("folder"))[0].astype(int)
    assert stored.shape == (8, 6, 3)
    assert np.abs(stored - grey[..., None]).mean() < (1 if suffix in ("png", "bmp", "gif") else 30)


def test_a_picture_is_turned_as_its_exif_data_says(user: User):
    both(user)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees to the right
    turned = pixels(4, 6, 8, 3)
    user.image("train/a/0.png", turned, exif=exif)
    assert (array(user.run("folder"))[0] == np.rot90(turned, -1)).all()


def test_transparency_and_palettes(user: User):
    both(user)
    opaque = np.dstack([pixels(4, 8, 6, 3), np.full((8, 6), 255, np.uint8)])
    user.image("train/a/0.png", opaque)
    assert (array(user.run("folder"))[0] == opaque[..., :3]).all()
    (user.files / "train/a/0.png").unlink()
    Image.fromarray(pixels(5, 8, 6)).convert("P").save(user.files / "train/a/0.gif")
    assert array(user.run("folder")).shape == (3, 8, 6, 3)


def test_what_is_declared_is_done_in_its_order(user: User):
    first = both(user).astype(np.float32)
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
    out = user.run("folder", color="bgr", scale=1 / 255, mean=mean, std=std, layout="channels_first")
    wanted = (first[..., ::-1] * np.float32(1 / 255) - np.float32(mean)) / np.float32(std)
    stored = array(out)[0]
    assert stored.dtype == np.float32
    assert (stored == wanted.transpose(2, 0, 1)).all()
    np.testing.assert_array_equal(array(user.run("folder", layout="channels_first"))[0], first.transpose(2, 0, 1))


def test_grey_keeps_the_axis_of_the_channels_and_bytes(user: User):
    first = both(user)
    stored = array(user.run("folder", color="gray"))[0]
    luma = first @ [0.299, 0.587, 0.114]
    assert (stored.shape, stored.dtype) == ((8, 6, 1), np.uint8)
    assert np.abs(stored[..., 0] - luma).max() <= 1


def test_resizing_covers_all_pixels_of_what_it_shrinks(user: User):
    """Every second column is white: plain bilinear interpolation would see only some of them."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    for name in ("train/a/1", "train/z/2", "test/a/3", "test/z/4"):
        user.image(f"{name}.png", stripes)
    stored = array(user.run("folder", resize=[8, 16]))[0]
    assert stored.shape == (8, 16, 3)
    assert np.abs(stored.astype(int) - 127).max() < 40
    assert set(np.unique(array(user.run("folder", resize=[8, 16], interpolation="nearest")))) <= {0, 255}


@pytest.mark.parametrize(("fit", "left", "middle"), [("stretch", 0, 255), ("pad", 0, 255), ("crop", 255, 255)])
def test_a_picture_of_another_form_is_stretched_padded_or_cropped(user: User, fit: str, left: int, middle: int):
    """A wide one with black ends, to a square."""
    wide = np.full((20, 60, 3), 255, np.uint8)
    wide[:, :15] = wide[:, 45:] = 0
    for name in ("train/a/1", "train/z/2", "test/a/3", "test/z/4"):
        user.image(f"{name}.png", wide)
    stored = array(user.run("folder", resize=[20, 20], fit=fit))[0]
    assert stored.shape == (20, 20, 3)
    assert stored[10, 10, 0] == middle
    assert stored[10, 1, 0] == left
    assert stored[1, 10, 0] == (0 if fit == "pad" else 255)


def test_pictures_of_two_sizes_need_resize(user: User):
    both(user)
    user.image("train/a/5.png", pixels(5, 9, 6, 3))
    assert user.error_of("folder") == (
        "train/a/5.png: input 0 has the shape (9, 6, 3), the first one's (8, 6, 3); set data.resize"
    )
    assert array(user.run("folder", resize=[8, 6])).shape == (3, 8, 6, 3)


def test_the_two_sets_must_be_alike(user: User):
    both(user)
    for name in ("a/3", "z/4"):
        user.image(f"test/{name}.png", pixels(5, 9, 6, 3))
    assert user.error_of("folder").startswith(
        "the training set has inputs of [((8, 6, 3), 'uint8')], the test set of [((9,"
    )


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp"])
def test_a_truncated_picture_is_named(user: User, suffix: str):
    both(user, shape=(64, 64, 3))
    path = user.image(f"train/a/0 ä.{suffix}", pixels(0, 64, 64, 3))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert user.error_of("folder").startswith(f"train/a/0 ä.{suffix} can't be read: ")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_that_declares_too_many_pixels_is_not_decoded(user: User):
    both(user)
    Image.new("1", (20_000, 5_000)).save(user.files / "train/a/0.png")
    assert user.error_of("folder") == ("train/a/0.png has 20000 x 5000 pixels: at most 89478485 are read; shrink it")
    Image.new("1", (40_000, 10_000)).save(user.files / "train/a/0.png")
    assert "decompression bomb" in user.error_of("folder")


def test_sixteen_bits_are_not_clipped_in_silence(user: User):
    both(user)
    user.image("train/a/0.png", np.arange(48, dtype=np.uint16).reshape(8, 6) * 1000)
    assert user.error_of("folder") == "train/a/0.png has more than 8 bits a channel (I;16): convert it to 8"


def test_a_picture_by_name_only_starts_no_other_program(user: User):
    """PostScript would be handed to Ghostscript."""
    both(user)
    (user.files / "train/a/0.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n")
    assert (
        user.error_of("folder")
        == "train/a/0.png can't be read: its content is not an image (PNG, JPEG, WEBP, BMP, GIF); "
        "replace it or remove it"
    )


@pytest.mark.parametrize("name", ["train/a/notes.txt", "train/a/scan.tiff"])
def test_files_that_are_no_pictures_are_named(user: User, name: str):
    both(user)
    user.text(name, "x")
    assert user.error_of("folder").startswith(f"{name} is not an image (png, jpg")


@pytest.mark.parametrize("name", ["train/a/.DS_Store", "train/Thumbs.db", "test/a/desktop.ini"])
def test_what_file_managers_leave_is_no_sample(user: User, name: str):
    both(user)
    user.text(name, "x")
    assert len(array(user.run("folder"))) == 2


def test_a_picture_beside_the_classes(user: User):
    both(user)
    user.image("train/5.png", pixels(5, 8, 6, 3))
    assert user.error_of("folder") == "train/5.png is in no folder of a class: move it into one of them"


def test_a_folder_whose_name_is_no_utf8(user: User):
    both(user)
    folder = user.files / "train" / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    Image.fromarray(pixels(0, 8, 6, 3)).save(folder / "1.png")
    assert user.error_of("folder") == "the name of the folder caf? is not UTF-8: rename it"


def test_a_class_of_the_test_set_alone_is_a_class_too(user: User):
    both(user)
    user.image("test/m/5.png", pixels(5, 8, 6, 3))
    out = user.run("folder")
    assert read_about(out)["classes"] == ["a", "m", "z"]
    assert np.load(out / "y_train.npy").tolist() == [0, 2]
