"""Lets a script say `true`, `false` and `null`, which is what rendered values look like."""

import builtins

for _name, _value in (("true", True), ("false", False), ("null", None)):
    setattr(builtins, _name, _value)
