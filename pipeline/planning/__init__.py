"""How a job runs on the GPU at hand: what fits into its memory, how long it takes, what was learnt.

Counts and arithmetic only. Loads no model and knows nothing of photos or sessions.
"""
