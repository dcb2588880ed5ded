"""Scenes as Hypothesis strategies: the same draws as a seed's, from a source that Hypothesis makes smaller.

`Scene.drawn` takes its chances from a `Random`. A seed gives it Python's, so that a number is all there is to keep; a
strategy gives it Hypothesis's. So what a flow may be made of stands once, in `flows.py`. Steps are thousands of draws:
here too they come from a number.
"""

from random import Random

from hypothesis import strategies as st

from tests.simulate.flows import Maker
from tests.simulate.histories import Dice, Mode
from tests.simulate.scenes import Scene

chances = st.randoms(use_true_random=False)
flows = chances.map(lambda random: Maker(random).flows())


def scenes(*, ordered: bool = False) -> st.SearchStrategy[Scene]:
    """Flows, who starts them when, and what people do."""
    return chances.map(lambda random: Scene.drawn(random, ordered=ordered))


def dice(mode: Mode) -> st.SearchStrategy[Dice]:
    """What happens next, crashes included."""
    return st.integers(0, 2**32 - 1).map(lambda number: Dice(Random(number), mode))
