"""Studies of 3D-R2N2 and of the networks related to it, by name."""

from compress3d.r2n2.studies import recipe, textures, views

STUDIES = {"recipe": recipe.run, "textures": textures.run, "views": views.run}
