"""Jobs on other machines. The server (the front) has the vault, the sessions and all keys; a worker
gets one job at a time, sealed for it, and answers with files that are encrypted already.

    front                          between (Ray, or a pipe)            worker
    lane ── frames ──► link ═══════ ciphertext, a job's number ═══════► worker ─► job.make
         ◄─ frames ──                                                ◄─ carried vault

What lies between the two is trusted with nothing: it neither reads nor changes what passes.
"""
