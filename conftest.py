"""Loaded whatever part of the tests or of the book is run: how notebooks are compared with their stored outputs.

Their kernels talk through files.
"""

import nbval.kernel

from tests.notebooks.compare import pytest_itemcollected
from tools.notebooks import through_files

nbval.kernel.KernelManager = through_files(nbval.kernel.KernelManager)

__all__ = ["pytest_itemcollected"]
