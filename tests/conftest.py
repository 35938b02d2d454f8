"""Shared set-up. Notebooks that nbval runs draw their figures as they do for the book."""

from __future__ import annotations

import os

from compress3d.notebooks import kernel_environment

# Kernels inherit this. The backend is left to them: here, tests draw without a screen.
os.environ.update({name: value for name, value in kernel_environment().items() if name != "MPLBACKEND"})
