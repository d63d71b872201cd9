"""See the package. A module of its own: a spawned process does not import `__main__` again."""

import sys

from train_matting.training import main

if __name__ == "__main__":
    sys.exit(main())
