"""The tests. What the product sets before numpy is loaded, it sets here too."""

import pipeline  # noqa: F401
