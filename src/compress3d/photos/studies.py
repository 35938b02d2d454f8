"""Studies of photographs, by name."""

from compress3d.photos import calibration

STUDIES = {"confidence": calibration.run}
