"""The frozen base model: loading it, asking it to learn and to paint, and adapters beside it.

`families/` has one module per kind of base. Knows nothing of sessions, photos or looks.
"""
