"""A company's brand kit: read and checked once, when the server starts."""
