"""Templates to HTML: escaped by default, style and script inline and allowed by their hashes alone."""

from __future__ import annotations

import codecs
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app import words
from app.web.counted.event_views import money_text

__all__ = ["content_security_policy", "html_answer", "load_templates"]

_FOLDER = Path(__file__).resolve().parents[1] / "templates"


@cache
def _inline(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _source(name: str) -> str:
    return f"'sha256-{b64encode(sha256(_inline(name).encode()).digest()).decode()}'"


@cache
def content_security_policy() -> str:
    """Nothing from elsewhere; of inline code only what the server itself wrote, by its hash."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {_source('style.css')}",
            f"script-src {_source('live.js')}",
            "connect-src 'self'",
            "img-src 'self' data:",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        age=words.age_text,
        bytes=words.size_text,
        count=words.count_text,
        counted=words.counted_text,
        excerpt=words.excerpt,
        money=money_text,
        reject=words.reject_text,
        time=words.time_text,
        visible=words.visible,
    )
    environment.globals.update(
        complete=words.complete_text,
        evidence=words.evidence_text,
        inline=_inline,
        not_counted=words.NOT_COUNTED,
        not_known_yet=words.NOT_KNOWN_YET,
        reason=words.reason_text,
        share=words.share_text,
    )
    return environment


def load_templates() -> None:
    """Read at the start what answers are made of: a worker that is out of descriptors can still say so."""
    content_security_policy()
    for template in _environment().list_templates(extensions=["html"]):
        _environment().get_template(template)
    codecs.lookup("idna")  # of every look-up of a host's name


def html_answer(template: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> web.Response:
    """The rendered template. Halves of surrogate pairs that came by another way than `visible` are written out, too."""
    html = _environment().get_template(template).render(**values)
    body = html.encode("utf-8", "backslashreplace")
    return web.Response(body=body, status=status, headers=headers, content_type="text/html", charset="utf-8")
