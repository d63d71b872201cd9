"""Helpers that several test files share. Holds no test."""
