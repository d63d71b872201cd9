"""The routes, one module per subject. Each asks `web.http.dependencies` who is there.

Knows HTTP and the services that it is handed; nothing of Gradio, of keys or of models.
"""
