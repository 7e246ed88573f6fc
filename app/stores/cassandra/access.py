"""Why Cassandra does not let us in, in words for who set how it is asked."""

from __future__ import annotations

from collections.abc import Sequence

from app.errors import SettingsError, StoreError, StoreUnreachable
from app.settings import Settings
from app.stores.cassandra.connection import where_of

__all__ = ["why_not"]


def why_not(own: Settings, error: Exception, centres: Sequence[str]) -> StoreError | SettingsError:
    """The one sentence for a connection that was not made, by the driver's error and the data centres that were found."""
    from cassandra import AuthenticationFailed

    where = where_of(own)
    told = getattr(error, "errors", None)  # a list of nodes where none was tried
    causes = list(told.values()) if told and isinstance(told, dict) else [error]
    if any(isinstance(cause, AuthenticationFailed) for cause in causes):
        user = own.cassandra_user
        who = f"refuses the user {user!r} or the password" if user else "asks for a user and a password"
        return SettingsError(f"{where} {who}; set WEBLOGS_CASSANDRA_USER and WEBLOGS_CASSANDRA_PASSWORD")
    if own.cassandra_datacenter and centres and own.cassandra_datacenter not in centres:
        return SettingsError(
            f"WEBLOGS_CASSANDRA_DATACENTER={own.cassandra_datacenter!r}: {where} has only {', '.join(centres)}"
        )
    if any("CERTIFICATE_VERIFY_FAILED" in str(cause) for cause in causes):
        return SettingsError(
            f"{where} shows a certificate that WEBLOGS_CASSANDRA_CA={own.cassandra_ca!r} does not cover: {causes[0]}"
        )
    return StoreUnreachable(f"{where} does not answer: {str(causes[0]) or type(causes[0]).__name__:.300}")
