"""The units in which settings and limits are told: seconds and bytes."""

HOUR_S = 3600
TEN_MINUTES_S = 600
MB = 1_000_000
