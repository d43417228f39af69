"""``python -m hellojohn``: the command line."""

from hellojohn.cli import main

if __name__ == "__main__":
    main()
