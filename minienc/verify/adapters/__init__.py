"""What can be checked, each kind brought to the one form of ``subject``.

``recognize`` tells the kinds apart. Each other file has one: ``functions`` (then ``arguments``,
how their arguments and gradients are named), ``layers`` and ``models``, ``objects`` of a course's
classes, ``pytorch`` and ``jax``, arrays of ``devices``, and ``files`` for the command line.
"""
