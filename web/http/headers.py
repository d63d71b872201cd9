"""The headers of every response. Pure functions of the settings and the path."""

from __future__ import annotations

from settings import Settings

# Our own pages: nothing inline, nothing from anywhere else.
_OWN_PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'"
)
# Gradio's page has inline scripts and styles; it works without unsafe-eval as long as no gr.HTML
# is used (its template engine compiles functions at run time).
_STUDIO = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; "
    "connect-src 'self' blob:; manifest-src 'self'; object-src 'none'; form-action 'self'; "
    "base-uri 'self'"
)
_FIXED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-robots-tag": "noindex, nofollow",
}
# The same for every visitor and named by a hash of their content, so a browser may keep them;
# without this a phone would load Gradio's scripts again on each visit.
_CACHEABLE = "/studio/assets/"
_REVALIDATED = "/static/"


def policy(settings: Settings, path: str, language: str, status: int) -> dict[str, str]:
    """The headers of a response to `path` in a language; they replace any of the same name."""
    rules = _STUDIO if path == "/studio/" else _OWN_PAGES
    ancestors = " ".join(settings.portals) or "'none'"
    headers = {
        **_FIXED,
        "content-security-policy": f"{rules}; frame-ancestors {ancestors}",
        "cache-control": _cache(path, status),
    }
    if not path.startswith((_CACHEABLE, _REVALIDATED)):
        headers |= {"content-language": language, "vary": "Accept-Language"}
    if settings.https:
        headers["strict-transport-security"] = "max-age=31536000"
    return headers


def _cache(path: str, status: int) -> str:
    if status >= 400:  # a script refused once, after its session's end, would be missing for a year
        return "no-store"
    if path.startswith(_CACHEABLE):
        return "private, max-age=31536000, immutable"
    if path.startswith(_REVALIDATED):
        return "no-cache"
    return "no-store"
