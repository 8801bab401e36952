"""``python -m minienc``: the command line."""

import sys

from minienc.cli import main

if __name__ == "__main__":
    sys.exit(main())
