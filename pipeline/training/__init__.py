"""A person's photos become an adapter: examples, optimisation, going on after an interruption.

Knows nothing of the vault: bytes come in and go out.
"""
