# ruff: noqa: PT009  the image has unittest and nothing else
"""Predictions on four photographs of the validation set, reduced to one colour each, with the labels that people gave them."""

from __future__ import annotations

import unittest

from litter.labels import load_labels
from litter.model import predict, softmax
from litter.pixels import Plane, to_tensor

VALIDATION = (
    ("green bottle on sand", (40, 200, 120), "glass"),
    ("filter on asphalt", (220, 140, 50), "cigarette"),
    ("blue bag in the surf", (90, 130, 250), "plastic"),
    ("dark kelp", (20, 30, 25), "other"),
)


def photograph(colour: tuple[int, int, int]) -> tuple[Plane, ...]:
    return to_tensor([[colour] * 12] * 16)


class ModelTest(unittest.TestCase):
    def test_validation_photographs_get_the_label_people_gave_them(self) -> None:
        for name, colour, label in VALIDATION:
            with self.subTest(photograph=name):
                found, score = predict(photograph(colour))[0]
                self.assertEqual(found, label, f"{name}: labels.txt has the classes in another order than the weights")
                self.assertGreater(score, 0.4)

    def test_probabilities_sum_to_one(self) -> None:
        self.assertAlmostEqual(sum(score for _, score in predict(photograph((10, 20, 30)))), 1)

    def test_softmax_survives_large_scores(self) -> None:
        self.assertEqual(softmax([1000.0, 0.0]), [1.0, 0.0])

    def test_every_class_has_a_name(self) -> None:
        self.assertEqual(len(load_labels()), 6)


if __name__ == "__main__":
    unittest.main()
