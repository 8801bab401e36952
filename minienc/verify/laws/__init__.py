"""What must hold beside the numbers: each broken law is one sentence, and makes the check fail.

``purity`` has the laws of a pair, ``layouts`` arrays laid out in every way, ``samples`` what a
batch may do, ``symmetry`` second derivatives, and ``optimizers`` whether an optimiser goes where
its formula goes.
"""
