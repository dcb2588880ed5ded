"""Embeddings of a fake model (how often each word of a small world stands in a text), and collections of them."""

import math
import re

WORLD = ("paris", "france", "capital", "nginx", "restart", "server", "cat", "dog")


def vector(text: str) -> list[float]:
    words = re.findall(r"\w+", text.lower())
    return [float(words.count(word)) + 0.01 for word in WORLD]


class Vectors:
    """Collections of points, found by their cosine."""

    def __init__(self):
        self.points = None

    def nearest(self, vector, most):
        def cosine(point):
            return (
                sum(a * b for a, b in zip(vector, point[0], strict=True)) / math.hypot(*vector) / math.hypot(*point[0])
            )

        return sorted(((cosine(point), point) for point in self.points), key=lambda one: -one[0])[:most]
