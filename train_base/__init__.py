"""How the embedded base model is made, from public-domain portraits to a diffusers folder.

    data -> autoencoder -> latents -> denoiser -> export -> evaluate
                  \\-> sharpen (the decoder alone, at any time: latents do not move)

One command per stage, `python -m train_base.STAGE --work FOLDER`.  Every stage is seeded
and may be killed at any moment: it goes on from its last checkpoint, which is replaced in one
step.  Large files live in the work folder and never in the repository.
"""
