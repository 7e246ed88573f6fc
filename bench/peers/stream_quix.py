"""Quix Streams 3: group_by and stateful apply, state in RocksDB with a changelog in Kafka. Run as `python -m bench.peers.stream_quix`."""

from __future__ import annotations

import json
from typing import Any

from bench.peers.job import add, parse, place


def _hit(line: bytes) -> dict[str, Any] | None:
    found = parse(line.decode())
    return None if found is None else {"key": json.dumps(found[0]), "hit": found[1]}


def _merge(value: dict[str, Any], state: Any) -> list[Any]:
    sessions = add(state.get("sessions", []), tuple(value["hit"]))
    state.set("sessions", sessions)
    return sessions


def main() -> None:
    from quixstreams import Application
    from quixstreams.models import TopicConfig

    own = place()
    app = Application(
        broker_address=own.server,
        consumer_group=own.group,
        auto_offset_reset="earliest",
        state_dir=own.folder,
        loglevel="WARNING",
    )
    config = TopicConfig(num_partitions=own.partitions, replication_factor=1)
    source = app.topic(own.source, value_deserializer="bytes", config=config)
    target = app.topic(own.target, key_serializer="str", value_serializer="json", config=config)
    hits = app.dataframe(source).apply(_hit).filter(lambda value: value is not None)
    hits.group_by("key", key_serializer="str", key_deserializer="str").apply(_merge, stateful=True).to_topic(target)
    app.run()


if __name__ == "__main__":
    main()
