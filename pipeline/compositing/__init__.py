"""A person's own photo in a new studio: cut out, lit again, set before a wall.

    matting ─► face_mesh ─► shape, skin ─► relight, neutral ─► framing ─► walls, composite
    colours    468 points   once per photo  gain, balance       what is   over a wall,
    and alpha                                                   seen      graded

No pixel of the face is invented: every step multiplies, moves or lays over what the camera saw.
`studio` runs it. Knows pixels and lights; nothing of the vault, of orders or of torch.
"""
