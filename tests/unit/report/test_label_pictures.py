"""Pictures with their masks over them."""

import io

import numpy as np
import pytest
from PIL import Image

from driver.report import label_pictures
from driver.report.label_pictures import COLOURS, SIDE


def draw(pictures, masks):
    return np.asarray(Image.open(io.BytesIO(label_pictures.draw_masks(pictures, masks))))


def test_each_class_but_the_first_has_its_colour_over_the_picture():
    picture = np.full((1, 4, 4, 3), 100, np.uint8)
    mask = np.array([[[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, -1, -1], [2, 2, -1, -1]]], np.int8)
    drawn = draw(picture, mask)
    assert drawn.shape == (SIDE, 2 * SIDE + 1, 3)
    plain, covered = drawn[:, :SIDE], drawn[:, SIDE + 1 :]
    assert (plain == 100).all()
    quarter = SIDE // 4
    for row, column, colour in ((1, 1, None), (1, 3, COLOURS[1]), (3, 1, COLOURS[2]), (3, 3, (128, 128, 128))):
        shown = covered[row * quarter, column * quarter].astype(float)
        expected = (100, 100, 100) if colour is None else 0.55 * np.array(colour) + 0.45 * 100
        assert shown == pytest.approx(np.asarray(expected, float), abs=2)


def test_a_mask_of_another_size_is_stretched_and_colours_come_again():
    drawn = draw(np.zeros((1, 4, 4, 1), np.float32), np.full((1, 2, 2), len(COLOURS)))
    assert drawn[0, -1] == pytest.approx(0.55 * np.array(COLOURS[1]), abs=2)


def test_twelve_samples_at_most_are_drawn_two_in_a_row():
    drawn = draw(np.zeros((40, 4, 4, 3), np.uint8), np.zeros((40, 4, 4), np.int8))
    assert drawn.shape[0] == 6 * (SIDE + 8) - 8


@pytest.mark.parametrize("normalized", [False, True])
def test_boxes_are_drawn_at_their_places_and_padding_is_not(normalized):
    boxes = np.array([[[1, 2, 3, 4, 0], [0, 0, 4, 4, -1]]], np.float32)
    boxes[..., :4] /= 4 if normalized else 1
    content = label_pictures.draw_boxes(np.zeros((1, 4, 4, 3), np.uint8), boxes, normalized=normalized)
    drawn = np.asarray(Image.open(io.BytesIO(content)))
    rows, columns = np.nonzero((drawn == COLOURS[1]).all(axis=2))
    quarter = SIDE // 4
    assert (rows.min(), rows.max() + 1) == (2 * quarter, 4 * quarter)
    assert (columns.min(), columns.max() + 1) == (quarter, 3 * quarter)
    assert (drawn[0, 0] == 0).all()
