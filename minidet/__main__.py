"""`python -m minidet …` is the command `minidet`, from a checkout that is not installed too."""

import sys

from minidet.cli import main

sys.exit(main())
