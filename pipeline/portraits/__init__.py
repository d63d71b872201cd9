"""Looks, painting, scoring, and what a portrait is when it leaves: size, format, mark, ZIP.

Knows nothing of how a face is learnt, nor of the web.
"""
