"""Joint compression and reconstruction (Golts & Schechner 2021): the compression RNN and the three joint models."""
