"""The units in which deadlines are told, and how late a sweep may come to them."""

HOUR_S = 3600

SWEEP_S = 300.0
"""The sweep that erases what is overdue may take this long to come by."""
