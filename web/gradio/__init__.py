"""The Gradio page, and what keeps Gradio from reading, writing or telling more than it must.

The one room that imports Gradio, and only after `guard.prepare()`.
"""
