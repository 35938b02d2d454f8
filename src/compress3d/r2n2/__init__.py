"""3D-R2N2 (Choy 2016): several views of an object to an occupancy grid, in five networks."""
