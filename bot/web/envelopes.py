"""Envelopes: what nobody can draw into a field of a browser again, secrets and files. The page carries it, sealed for
the one browser, until the form is sent once more."""

from collections.abc import Collection, Mapping
from typing import Any

from bot import documents
from bot.conversation import Form
from bot.forms.values import is_blank
from bot.web.gate import Session
from engine.errors import StoreFailed
from engine.secrets import SEALED, Vault

KINDS = frozenset({"SECRET", "FILE"})


def sealed(
    form: Form, values: Mapping[str, Any], wrong: Collection[str], vault: Vault, session: Session
) -> dict[str, str]:
    """An envelope for each such field of a form, by its id, with what was sent for it; not for what was wrong."""
    return {
        field.id: vault.seal(documents.dump(values[field.id]), _owner(session, field.id))[SEALED]
        for field in form.fields
        if field.type in KINDS and field.id not in wrong and not is_blank(values.get(field.id))
    }


def opened(
    form: Form, given: Mapping[str, Any], values: Mapping[str, Any], vault: Vault, session: Session
) -> dict[str, Any]:
    """What is in the envelopes that came with a form, for fields that were left empty, by their ids."""
    found = {}
    for index, field in enumerate(form.fields):
        envelope = given.get(f"k:{index}")
        if field.type in KINDS and isinstance(envelope, str) and is_blank(values.get(field.id)):
            try:
                found[field.id] = vault.open({SEALED: envelope}, _owner(session, field.id))
            except StoreFailed:  # another browser's, or none of ours: nothing was given
                continue
    return documents.raw_values(found)


def _owner(session: Session, field_id: str) -> str:
    return f"page:{session.nonce}:{field_id}"
