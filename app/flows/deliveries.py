"""Lines to hits to deliveries, and what is no hit."""

from __future__ import annotations

from app.flows.flow import Flow, Keeping, Stage

__all__ = ["DELIVERIES", "LINES", "REDUCED", "REJECTS", "TOKENS"]

LINES, TOKENS, REJECTS, REDUCED = "weblogs", "weblogs_tokens", "weblogs_rejects", "weblogs_reduced"

DELIVERIES = Flow(
    name="deliveries",
    topics={
        LINES: "Lines as they come; headers as app.messages.headers.Headers names them.",
        TOKENS: "Hits, by delivery key.",
        REJECTS: "Lines that are no hit, and records that a store refuses for good.",
        REDUCED: "Deliveries.",
    },
    stages=(
        Stage("tokenize_lines", LINES, (TOKENS, REJECTS)),
        Stage("merge_ranges", TOKENS, (REDUCED,), "byte_ranges"),
    ),
    keepings=(
        Keeping("store_raw", TOKENS, {"raw": "raw"}),
        Keeping("store_rejects", REJECTS, {"rejects": "raw"}),
        Keeping("store_reduced", REDUCED, {"reduced": "reduced"}),
    ),
    page="/",
)
