"""`python -m compress3d`."""

from compress3d.cli import main

if __name__ == "__main__":
    main()
