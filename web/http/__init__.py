"""What every request passes before and after its route: errors, headers, firewall, limits, cookies.

Knows nothing of portraits, photos or what a page says.
"""
