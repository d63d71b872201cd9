"""Portraits that a visitor gives to whom the operator names (`LIKENESS_HAND_IN`)."""
