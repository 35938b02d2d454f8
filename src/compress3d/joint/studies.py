"""Studies of the joint models, by name."""

from compress3d.joint import timing

STUDIES = {"timing": timing.run}
