"""What only maintainers run: the pages, pictures and sample files that the repository keeps.

Nothing here ships or is imported by what does.
"""
