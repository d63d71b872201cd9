"""The unit in which deadlines are told."""

HOUR_S = 3600
