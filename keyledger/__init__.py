"""An event-sourced API-key ledger: every fact about a key is an event in PostgreSQL.

Everything public is here, but for `keyledger.adapters` and `keyledger.http`.
"""

from keyledger.api_key import APIKey, Page
from keyledger.audit import HistoryPage
from keyledger.domain.actor import Actor
from keyledger.domain.errors import (
    EmbeddedServerError,
    ExpiredAPIKey,
    IdempotencyConflict,
    InsufficientScope,
    InvalidAPIKey,
    InvalidArgument,
    KeyLedgerError,
    KeyNotFound,
    KeyRevokedError,
    LedgerClosed,
    LedgerUnavailable,
    MalformedAPIKey,
    MalformedKeyId,
    NameConflict,
    PepperUnavailable,
    RebuildRefused,
    RevokedAPIKey,
    SchemaOutOfDate,
    UnknownAPIKey,
    UnreadableEvent,
)
from keyledger.domain.use import Use
from keyledger.infrastructure.following.progress_status import ProjectionStatus, SequencerStatus
from keyledger.infrastructure.rebuilding.rebuild_report import RebuildProgress, RebuildReport, RebuiltProjection
from keyledger.infrastructure.rebuilding.verification import Difference, VerificationReport, VerifiedProjection
from keyledger.key_change import KeyChange
from keyledger.ledger import KeyLedger
from keyledger.projections.history_entry import HistoryEntry
from keyledger.settings import Settings
from keyledger.verification import Verification

__all__ = [
    "APIKey",
    "Actor",
    "Difference",
    "EmbeddedServerError",
    "ExpiredAPIKey",
    "HistoryEntry",
    "HistoryPage",
    "IdempotencyConflict",
    "InsufficientScope",
    "InvalidAPIKey",
    "InvalidArgument",
    "KeyChange",
    "KeyLedger",
    "KeyLedgerError",
    "KeyNotFound",
    "KeyRevokedError",
    "LedgerClosed",
    "LedgerUnavailable",
    "MalformedAPIKey",
    "MalformedKeyId",
    "NameConflict",
    "Page",
    "PepperUnavailable",
    "ProjectionStatus",
    "RebuildProgress",
    "RebuildRefused",
    "RebuildReport",
    "RebuiltProjection",
    "RevokedAPIKey",
    "SchemaOutOfDate",
    "SequencerStatus",
    "Settings",
    "UnknownAPIKey",
    "UnreadableEvent",
    "Use",
    "Verification",
    "VerificationReport",
    "VerifiedProjection",
]
