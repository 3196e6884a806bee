"""`python -m tests.contract.releases 0.2.0`: keep what a release writes, so that later ones are held to reading it."""

import json
import os
import sys
from pathlib import Path

import django


def main(release: str) -> None:
    """Write a file per context; one that is there already is left: what was released does not change."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from shop.services.contracts.describing import described  # noqa: PLC0415  after the set-up
    from shop.services.contracts.finding import Contract  # noqa: PLC0415
    from shop.sharding import hosted_contexts  # noqa: PLC0415
    from tests.contract.payloads import payloads_of  # noqa: PLC0415

    folder = Path(__file__).parent / release
    folder.mkdir(exist_ok=True)
    for context in hosted_contexts():
        snapshot = described(Contract.of(context))
        with (folder / f"{context}.json").open("x") as file:
            json.dump({"snapshot": snapshot, "payloads": payloads_of(snapshot)}, file, indent=1, sort_keys=True)
            file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
