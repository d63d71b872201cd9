"""`make bench`: what Likeness costs, side by side with the plain way of doing the same.

Each benchmark measures ours and a reference in the same run on the same machine, since only their
ratio means something elsewhere. Results go to a table and to benchmarks/latest.json.
"""
