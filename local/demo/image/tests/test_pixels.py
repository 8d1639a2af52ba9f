# ruff: noqa: PT009, PT027  the image has unittest and nothing else
"""The model's input is what the training pipeline made."""

from __future__ import annotations

import unittest

from litter.pixels import SIZE, centre_square, resize, to_tensor

GREY = (128, 128, 128)


class PixelsTest(unittest.TestCase):
    def test_a_wide_image_loses_its_sides_evenly(self) -> None:
        row = [(x, 0, 0) for x in range(10)]
        self.assertEqual([pixel[0] for pixel in centre_square([row, row, row, row])[0]], [3, 4, 5, 6])

    def test_enlarging_repeats_pixels(self) -> None:
        self.assertEqual(resize([["a", "b"], ["c", "d"]], 4)[1], ["a", "a", "b", "b"])

    def test_shrinking_takes_the_middle_of_each_block(self) -> None:
        self.assertEqual(resize([list(range(9))] * 9, 3)[0], [1, 4, 7])

    def test_the_tensor_has_channels_first(self) -> None:
        tensor = to_tensor([[(255, 0, 0)] * 20] * 30)
        self.assertEqual((len(tensor), len(tensor[0]), len(tensor[0][0])), (3, SIZE, SIZE))
        self.assertGreater(tensor[0][0][0], 2)
        self.assertLess(tensor[1][0][0], -2)

    def test_grey_is_near_zero_after_normalization(self) -> None:
        for plane in to_tensor([[GREY] * SIZE] * SIZE):
            self.assertLess(abs(plane[0][0]), 0.5)

    def test_ragged_rows_are_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "rows differ"):
            to_tensor([[GREY, GREY], [GREY]])

    def test_a_pixel_out_of_range_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "0 to 255"):
            to_tensor([[(256, 0, 0)]])


if __name__ == "__main__":
    unittest.main()
