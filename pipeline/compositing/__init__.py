"""The photo way: a person's own photo, cut out at hair level, lit again, set before a new wall.

No pixel of the face is invented here: every step moves, multiplies or mixes what the camera saw.
"""
