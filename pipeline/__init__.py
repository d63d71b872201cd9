"""From selfies to portraits, in the order of the modules.

    ingest ──► faces ──► album ──► train ──► generate ──► select ──► deliver
    bytes to   detect,   check,    adapter   latents to   best       gallery
    pixels     embed     crop,     beside a  pixels, by   first      and ZIP
    (limited             keep      frozen    style
    process)                       base

`job` runs the middle of it for one session, `job_queue` runs the jobs one after another in a worker
thread, `assembly` connects the parts. `python -m pipeline` is the same job without a browser.

The package knows pixels, faces and models. It keeps nothing itself: every byte that must outlive
a function call goes to `privacy.vault`. It knows nothing of HTTP or Gradio.
"""

import os

# Before numpy is loaded, which reads it then. The matrices here are tiny: on a busy machine threads
# that wait for each other made a thousand of them take up to 1.5 seconds instead of 0.02.
os.putenv("OPENBLAS_NUM_THREADS", "1")
