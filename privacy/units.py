"""The units in which deadlines are told."""

HOUR_S = 3600
DAY_S = 24 * HOUR_S
