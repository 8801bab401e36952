"""Faster functions of the definitions' own names, reached through ``primitive`` alone.

A module here defines functions of the same name and signature as a primitive's and registers each
with ``register_fast``; a function that does not serve the arrays it is given returns
``NotImplemented``, and the definition runs. No such module is in yet: the definitions serve.
"""
