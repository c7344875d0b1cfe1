"""`python -m driver`: the command, with the Python that is asked."""

import sys

from driver.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
