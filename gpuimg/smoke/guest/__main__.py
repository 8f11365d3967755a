"""Entry point of ``python -m`` and, through the zipapp's own ``__main__``, of ``python smoke.pyz``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
