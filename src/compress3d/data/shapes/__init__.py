"""Procedural objects of ShapeNet's 13 classes with exact solid occupancy: any number, from a seed."""

from compress3d.data.shapes.build import CATEGORIES, FAMILIES, ProceduralObject, build_shapes, make

__all__ = ["CATEGORIES", "FAMILIES", "ProceduralObject", "build_shapes", "make"]
