"""The frozen base model: loading it, asking it to learn and to paint, and adapters beside it.

`families/` has one module per kind of base. Knows nothing of sessions, photos or looks.
"""

from pipeline.bases.later import later

# diffusers imports it, a sixth of all that is imported, for noise that no base here asks for.
later("scipy.stats")
