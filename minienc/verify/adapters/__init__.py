"""What can be checked, each kind brought to the one form of ``subject``.

Four tables, each read from top to bottom, say what is recognised: ``recognize.KINDS``, what was
given; ``calls.CALLS``, how its backward is called; ``match``, which gradient is whose; ``weights``,
where an object leaves gradients. Behind them, ``functions``, ``objects`` and ``statics`` build what
is by hand (``arguments`` and ``trees``: what it is given; ``derivatives``: f' in the place of a
backward; ``paths`` and ``spelling``: where objects keep things, and how gradients are called;
``free``: what is read beside the arguments), ``layers`` what is this library's, ``pytorch`` and
``jax`` what those differentiate, over ``bridges`` what is by hand for them, ``devices`` arrays that
live there. ``files`` serves the command line.
"""
