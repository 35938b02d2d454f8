"""What became of each claim of Golts & Schechner 2021: one check a claim, found by its id in `book/claims.yml`."""

from compress3d.joint.claims import architecture, cost, images, shapes

__all__ = ["architecture", "cost", "images", "shapes"]
