"""Polars: gaps and islands with window expressions, for sessions and for byte ranges. `batch_polars.py LOG RESULT FORMAT`."""

from __future__ import annotations

import sys

import polars as pl
from polars import col

KEY = ["ip_address", "user_agent", "request"]
COMBINED = (
    r'^(?P<ip_address>\S+) \S+ \S+ \[(?P<time>[^\]]*)\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d+) (?P<sent>\d+) '
    r'"(?:[^"\\]|\\.)*" "(?P<user_agent>(?:[^"\\]|\\.)*)" "(?:bytes (?P<lo>\d+)-(?P<hi>\d+)/|-)'
)


def weblog_tsv(log: str) -> pl.LazyFrame:
    lines = pl.scan_csv(log, separator="\t", quote_char=None, schema_overrides={"status": pl.Int16})
    span = col("byte_range").str.split_exact("-", 1)
    is_get = col("request").str.starts_with("GET ") | ~col("request").str.contains(" HTTP/", literal=True)
    return (
        lines.filter(col("status").is_in([200, 206]), is_get)
        .with_columns(
            t=col("time").str.to_datetime("%Y-%m-%d %H:%M:%S").dt.epoch("s"),
            request=col("request").str.replace(r" HTTP/[^ ]*$", ""),
            lo=span.struct.field("field_0").cast(pl.Int64),
            hi=span.struct.field("field_1").cast(pl.Int64),
        )
        .with_columns(sent=col("hi") - col("lo") + 1)
        .select(*KEY, "t", "lo", "hi", "sent")
    )


def combined_range(log: str) -> pl.LazyFrame:
    lines = pl.scan_csv(log, separator="\1", quote_char=None, has_header=False, new_columns=["line"])
    return (
        lines.select(m=col("line").str.extract_groups(COMBINED))
        .unnest("m")
        .filter(col("status").is_in(["200", "206"]), col("request").str.starts_with("GET "))
        .with_columns(
            t=col("time").str.to_datetime("%d/%b/%Y:%H:%M:%S +0000").dt.epoch("s"),
            request=col("request").str.replace(r" HTTP/[^ ]*$", ""),
            sent=col("sent").cast(pl.Int64),
            hi=col("hi").cast(pl.Int64),
        )
        .with_columns(lo=pl.coalesce(col("lo").cast(pl.Int64), pl.when(col("status") == "200").then(0)))
        .with_columns(lo=pl.when(col("sent") > 0).then(col("lo")))
        .with_columns(hi=pl.when(col("lo").is_not_null()).then(pl.min_horizontal("hi", col("lo") + col("sent") - 1)))
        .select(*KEY, "t", "lo", "hi", "sent")
    )


def merged(hits: pl.LazyFrame) -> pl.LazyFrame:
    session = [*KEY, "session"]
    opens = (col("t") - col("t").shift(1) >= 86_400).fill_null(False)
    gap = (col("lo") > col("hi").cum_max().shift(1) + 1).fill_null(False)
    return (
        hits.sort("t")
        .with_columns(session=opens.cum_sum().over(KEY))
        .sort("lo", "hi", nulls_last=True)
        .with_columns(island=gap.cum_sum().over(session))
        .group_by(*session, "island")
        .agg(
            col("lo").min(),
            col("hi").max(),
            first=col("t").min(),
            last=col("t").max(),
            hits=pl.len(),
            sent=col("sent").sum(),
        )
        .sort("lo")
        .group_by(session)
        .agg(
            col("first").min(),
            col("last").max(),
            col("hits").sum(),
            col("sent").sum(),
            ranges=pl.concat_list("lo", "hi").filter(col("lo").is_not_null()),
        )
    )


def main(log: str, result: str, form: str) -> None:
    hits = {"weblog_tsv": weblog_tsv, "combined_range": combined_range}[form](log)
    merged(hits).collect().write_ndjson(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
