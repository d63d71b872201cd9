"""One module per family of bases, each a subclass of `base.Base`; `registry.FAMILIES` lists them.

A family knows its own networks and nothing of any other.
"""
