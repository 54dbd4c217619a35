"""`python -m pbxapi`."""

import sys

from pbxapi.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
