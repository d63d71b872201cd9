"""The looks of the release. Another file in `styles/` is somebody's own and may do with less."""

from __future__ import annotations

import settings as configuration

STYLES = configuration.ROOT / "styles"

SHIPPED = (
    "author",
    "black-white",
    "boardroom",
    "bright-office",
    "clean-white",
    "corporate",
    "corporate-baddie",
    "creative-loft",
    "film-noir",
    "garden-party",
    "linkedin-classic",
    "magazine",
    "old-money",
)
"""Keys. Each of these is told in every language and has a preview by the embedded base."""
