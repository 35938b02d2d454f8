"""Scenes as networks (Isik 2021): radiance fields, their training, pruning and bytes."""
