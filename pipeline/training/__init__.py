"""A person's photos become an adapter: examples, optimisation, and where an interrupted one goes on.

Knows nothing of the vault: bytes come in and go out.
"""
