"""Networks of the papers, built from `compress3d.nn`; they know nothing of data sets or training."""
