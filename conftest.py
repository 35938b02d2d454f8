"""Loaded whatever part of the tests or of the book is run: how notebooks are compared with their stored outputs."""

from tests.notebooks.compare import pytest_itemcollected

__all__ = ["pytest_itemcollected"]
