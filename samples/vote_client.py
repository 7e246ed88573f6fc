#!/usr/bin/env python3
"""A kiosk that loses no vote, with Python's standard library alone.

    python3 samples/vote_client.py --candidate 2 --opinion yes
    python3 samples/vote_client.py                  # send what is left in the spool

Each vote goes to a spool file first, with its id and time; the file is sent until the worker has taken it all. A vote that is
sent twice counts once, because it keeps its id.
"""

import argparse
import json
import os
import platform
import sys
import time
import urllib.error
import urllib.request
import uuid

AT_ONCE = 1000


def spooled(path):
    """The votes that are not sent yet; a line that was cut off by a crash is none."""
    votes = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    votes.append(json.loads(line))
    return votes


def keep(path, votes):
    """Replace the spool in one step."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(vote) + "\n" for vote in votes)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def send(url, votes):
    """True once the worker has taken them. Raises SystemExit for votes that it refuses for good."""
    request = urllib.request.Request(url + "/votes/", json.dumps(votes).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["success"]
    except urllib.error.HTTPError as error:
        if 400 <= error.code < 500 and error.code not in (408, 429):
            sys.exit(f"refused, still in the spool: {error.read().decode()}")
        return False
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser(description="Vote, and send what could not be sent before.")
    parser.add_argument("--candidate", type=int)
    parser.add_argument("--opinion")
    parser.add_argument("--user")
    parser.add_argument("--kiosk", default=platform.node())
    parser.add_argument("--url", default="http://127.0.0.1:5000")
    parser.add_argument("--spool", default="votes.spool")
    parser.add_argument("--tries", type=int, default=5)
    options = parser.parse_args()
    votes = spooled(options.spool)
    if options.candidate is not None:
        vote = {
            "candidate_id": options.candidate,
            "vote_id": uuid.uuid4().hex,
            "kiosk_id": options.kiosk,
            "vote_time": time.time(),
        }
        vote.update({name: value for name, value in (("opinion", options.opinion), ("user_id", options.user)) if value})
        votes.append(vote)
        keep(options.spool, votes)
    pause_s = 0.2
    for _ in range(options.tries):
        while votes and send(options.url.rstrip("/"), votes[:AT_ONCE]):
            print(f"{len(votes[:AT_ONCE])} votes taken")
            votes = votes[AT_ONCE:]
            keep(options.spool, votes)
        if not votes:
            return
        time.sleep(pause_s)
        pause_s *= 2
    sys.exit(f"{len(votes)} votes are kept in {options.spool}: run this again")


if __name__ == "__main__":
    main()
