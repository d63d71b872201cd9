"""A person's own photo in a new studio: cut out, lit again, set before a wall.

No pixel of the face is invented: every step multiplies, moves or lays over what the camera saw.
"""
