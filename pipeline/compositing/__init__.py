<<<<<<< HEAD
"""A person's own photo in a new studio: cut out, lit again, set before a wall.

No pixel of the face is invented: every step multiplies, moves or lays over what the camera saw.
=======
"""The photo way: a person's own photo, cut out at hair level, lit again, set before a new wall.

No pixel of the face is invented here: every step moves, multiplies or mixes what the camera saw.
>>>>>>> matting
"""
