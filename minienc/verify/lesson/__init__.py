"""What a check explains, from the outside: it changes no verdict.

``explain`` adds to the findings what a student can learn from: likely causes (``diagnosis``, with
the ``formulas`` of common mistakes), what a shrinking step shows (``curves``), and which mistakes
this check would have noticed (``mutants``). ``report`` tells it all, as ``text`` and as ``html``.
"""
