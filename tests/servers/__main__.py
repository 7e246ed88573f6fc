"""`python -m tests.servers FILE [SETUP …]`: runs the cases on many set-ups and writes lines with their truth to FILE."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tests.servers.certificate import make_certificate
from tests.servers.corpus import SETUPS, corpus
from tests.servers.files import make_files
from tests.servers.folders import public_folder


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers", description="Lines of real web servers with their truth."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="JSON lines are written here")
    parser.add_argument("setups", nargs="*", metavar="SETUP", help=f"default: all of {', '.join(SETUPS)}")
    options = parser.parse_args()
    with public_folder() as folder, options.file.open("w") as out:
        records = corpus(
            folder,
            make_files(folder / "files"),
            make_certificate(folder),
            options.setups or SETUPS,
            lambda text: print(text, flush=True),
        )
        for record in records:
            out.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
