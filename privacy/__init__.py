"""Bytes, keys and time: what a session leaves on the disk, who can read it, and when it goes.

This package knows nothing of photos, models, the web or the settings; values are passed in.

    visitor's browser                     server
    ─────────────────                     ──────
    ticket = session id + secret S        master key M   (in RAM, or a key file off the volume)
                  │                            │
                  └────────── HKDF ────────────┘
                               │
                    key-encryption key (KEK)            never stored
                               │ AES-256-GCM
                        data key (DEK)                  stored only wrapped; in RAM while in use
                               │ AES256-GCM-HKDF streaming, one file at a time
                  SCRATCH/vault/<session id>/<file id>

The life of a session, as `sessions` keeps it and `sweeper` ends it:

    create ──► live ──► first photo ──► delivered ──► erasing ──► nothing
                │            │              │            ▲  1. one transaction: key and verifier
                │            │              │            │     overwritten, state set
                │            │              └─ 24 h ─────┤  2. on_erase: jobs stop
                │            └─ 48 h without delivery ───┤  3. files and folder unlinked, synced
                └─ 48 h without a photo, or the visitor's│  4. rows deleted
                   own click ────────────────────────────┘  a crash in between: the next sweep

Modules, from the bottom up: `scratch` (the folder: lock and durable file operations), `stream` (the
file format), `keys`, `database`, `clock`, `kinds`, `file_rows`, `vault` (files of a session),
`sessions`, `sweeper`. Beside them: `tally` (numbers by day), `harden` (the process), `log`.

Not protected: a process with root's rights on this machine while a session is open (it can read the
DEK from RAM), a visitor's browser that leaks the ticket, file sizes and times, and old disk blocks,
which flash may keep; those hold ciphertext only, and need S, M and the old wrapped key together.
"""
