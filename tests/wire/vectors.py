"""Embeddings of a fake model: how often each word of a small world stands in a text."""

import re

WORLD = ("paris", "france", "capital", "nginx", "restart", "server", "cat", "dog")


def vector(text: str) -> list[float]:
    words = re.findall(r"\w+", text.lower())
    return [float(words.count(word)) + 0.01 for word in WORLD]
