"""`python -m memagent`: see `cli.py`."""

import sys

from memagent.cli import main

if __name__ == "__main__":
    sys.exit(main())
