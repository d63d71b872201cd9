"""The units in which settings and limits are told: seconds and bytes."""

from privacy.units import HOUR_S as HOUR_S

TEN_MINUTES_S = 600
MB = 1_000_000
