"""Which tests are left out while working: `tests/slow.txt`, written anew on an idle machine by

    pytest -m "not trains and not browser and not cluster" --durations 0 --durations-min 0.05 \\
        | python tests/slow.py
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

FILE = Path(__file__).with_suffix(".txt")
LONGEST = 0.15
"""Seconds of one that is not slow; of a test with parameters, of each."""


def read() -> set[str]:
    """The names of the slow ones, without parameters."""
    return set(FILE.read_text(encoding="utf-8").split())


def main() -> None:
    """Write those that took longer, by pytest's report."""
    seconds: dict[str, float] = defaultdict(float)
    for line in sys.stdin:
        found = re.match(r"([\d.]+)s (call|setup|teardown) +(\S+?)(\[.*)?$", line.rstrip())
        if found:
            spent, name = float(found[1]), found[3]
            seconds[name] = max(seconds[name], spent)
    slow = sorted(name for name, spent in seconds.items() if spent > LONGEST)
    FILE.write_text("\n".join(slow) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
