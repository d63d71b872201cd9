"""The web layer: one FastAPI application around one mounted Gradio page.

    request ─► edge ──────► firewall ────────► routes
               (headers,    (Origin, what of   entrance   welcome, consent, private link
                last         Gradio may be     photos     upload in RAM, thumbnails
                resort)      reached, and      progress   what the page polls
                             whose files)      portraits  images and the ZIP
                                               shared     what a colleague may see
                                               leaving    delete, goodbye
                                               receipts   look-up, the log
                                               transparency  /privacy
                                               studio_page (Gradio, mounted at /studio)

Every route that touches a visitor's data takes `visitor.Visitor`, which opens the session from
the cookie or answers the one 404 that everything unknown gets. Nothing here imports torch.
"""
