"""``python -m nextpick``."""

from nextpick.cli.main import main

main()
