"""From an uploaded photo to a head-and-shoulders crop that was checked, with its measurements.

Metadata is lost here: `ingest` and `decoder` let nothing but pixels through. Knows nothing of
models that paint, nor of portraits.
"""
