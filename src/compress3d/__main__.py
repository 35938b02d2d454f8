"""`python -m compress3d`."""

from compress3d.cli import main

main()
