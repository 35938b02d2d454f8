"""Studies of scenes as networks, by name."""

from compress3d.nerf.studies import pruning, sparse

STUDIES = {"pruning": pruning.run, "sparse-speed": sparse.run}
