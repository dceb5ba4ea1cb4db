"""Pseudonyms for a copy that leaves production: what names a person becomes a keyed hash, the same wherever it stands.

So joins, distinct counts and sums stay as they are, and `verify` agrees. It is a pseudonym, not anonymity: who has the key can tell whether
a known id is among them, and days, amounts, products and cities are left as they are.
"""

import hashlib
from collections.abc import Collection

from worker.marts.definition import built_in

# In every table that has such a column.
_PERSONAL = frozenset({"customer_id", "customer_unique_id", "email", "session_id", "order_id"})
# What is personal, or tells of the source, in one table alone.
_OF_TABLE = {
    ("customer", "name"): "{pseudonym}",
    ("tombstone", "id"): "case when stream = 'products' then {column} else {pseudonym} end",
    ("file_setting", "value"): "case when name = 'file_id' then {pseudonym} else {column} end",
    ("progress", "cluster_id"): "cast(null as varchar)",
    ("customer_overview", "name"): "{pseudonym}",
    ("mart_run", "message"): "cast('' as varchar)",  # an error may show values
    ("audit_result", "message"): "cast('' as varchar)",
    ("mart_state", "version"): "cast('' as varchar)",  # in the copy, marts are computed anew
}
# Left empty. Kept messages hold the bytes as they came; jobs tell who asked; and a copy that read on where the source stands would
# mix ids with their pseudonyms.
EMPTIED = frozenset({"rejected", "expired", "job", "rebuild_order", "rebuild_touchpoint", "position", "newest_event"})


def key_of(secret: bytes) -> bytes:
    """The key that a secret of any length stands for."""
    return hashlib.sha256(b"tidemark pseudonyms" + secret).digest()


def is_emptied(table: str, marts: Collection[str]) -> bool:
    """Whether the copy has no rows of the table. `marts`: the tables of marts; what a user's own has in it, nobody here knows."""
    return table in EMPTIED or (table in marts and table not in built_in())


def expression(table: str, column: str) -> str | None:
    """SQL of what takes the column's place in the copy, with the parameter $key (bytes, see `key_of`); None: it is left as it is.

    A keyed SHA-256, cut to 128 bits: what was cut off is what an extension of the message would have to know.
    """
    quoted = f'"{column}"'
    pseudonym = f"left(sha256($key || encode({quoted})), 32)"
    if column in _PERSONAL:
        return pseudonym
    form = _OF_TABLE.get((table, column))
    return form.format(column=quoted, pseudonym=pseudonym) if form else None
