"""The web layer: one FastAPI application around one mounted Gradio page.

    request ─► http/errors ─► http/firewall ────► routes/
               (language,     (Origin, what of    welcome    consent, private link, health
                headers,       Gradio may be      photos     upload in RAM, thumbnails
                last resort)   reached, and       status     what the page polls
                               whose files)       portraits  images and the ZIP
                                                  looks      previews
                                                  guests     what a colleague may see
                                                  deletion   delete, goodbye
                                                  receipts   look-up, the log
                                                  privacy    /privacy
                                                  admin      numbers for whoever runs it
                                                  gradio/page (mounted at /studio)

Every route that touches a visitor's data takes `dependencies.Visitor`, which opens the session from
the cookie or answers the one 404 that everything unknown gets. Nothing here imports torch.
"""
