"""What the papers' networks are compared with: Pix2Vox-F and the mean shape of a category."""
