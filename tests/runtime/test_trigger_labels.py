"""Labels that triggers give."""

from engine.errors import ExpressionFailed
from engine.runtime.trigger_labels import labels_of_trigger


def test_labels_of_a_trigger_are_neither_empty_nor_of_the_system():
    written = [{"key": "a", "value": "x"}, {"key": "b", "value": "none"}, {"key": "system.c", "value": "y"}]
    assert labels_of_trigger(written, lambda text: text.replace("none", "").upper()) == (("a", "X"),)


def test_a_label_of_a_trigger_that_cannot_be_rendered_is_left_out_and_told(caplog):
    def render(text: str) -> str:
        if text == "{{ nothing }}":
            raise ExpressionFailed("There is no variable 'nothing'.")
        return text

    assert labels_of_trigger({"a": "{{ nothing }}", "b": "x"}, render) == (("b", "x"),)
    assert "The label 'a' of a trigger can't be rendered and is left out" in caplog.text
