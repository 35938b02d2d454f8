"""Studies of scenes as networks, by name."""

from compress3d.nerf.studies import pruning

STUDIES = {"pruning": pruning.run}
