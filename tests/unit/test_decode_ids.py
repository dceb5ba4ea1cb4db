"""event_id as 16 bytes: what is a UUID, what is hashed, and that the hash is the documented one."""

import uuid
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from worker.decode.ids import text_hash, uuid_and_text

CANONICAL = "0123abcd-4567-89ef-0123-456789abcdef"
MASK = (1 << 64) - 1


def split(ids: list[str]) -> tuple[list[bytes], list[str | None]]:
    uuids, texts = uuid_and_text(pa.array(ids, pa.string()))
    assert uuids.type == pa.uuid()
    return uuids.storage.to_pylist(), texts.to_pylist()


def mixed(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def hash_of(text: str) -> bytes:
    """The hash as its documentation says it, one word at a time."""
    raw, out = text.encode(), b""
    words = [int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw), 8)]
    for constant in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F):
        total = sum(mixed((word + constant * (index + 1)) & MASK) for index, word in enumerate(words))
        out += mixed((total + constant * len(raw)) & MASK).to_bytes(8, "big")
    return out


def test_canonical_uuids_are_themselves(seed: int) -> None:
    random = Random(seed)
    ids = [uuid.UUID(int=random.getrandbits(128)) for _ in range(1_000)]
    assert split([str(one) for one in ids]) == ([one.bytes for one in ids], [None] * len(ids))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "e1",
        CANONICAL.upper(),
        CANONICAL.replace("-", ""),
        f"{{{CANONICAL}}}",
        CANONICAL.replace("a", "g"),
        CANONICAL.replace("a", "/"),
        CANONICAL.replace("a", ":"),
        CANONICAL.replace("a", "`"),
        CANONICAL.replace("-", "_"),
        "-" + CANONICAL[:8] + CANONICAL[9:],
        CANONICAL + "0",
        CANONICAL[:-1],
        CANONICAL[:-2] + "é",
        "x" * 36,
        "0" * 35 + "\0",
    ],
)
def test_any_other_text_is_hashed_and_kept(text: str) -> None:
    assert split([CANONICAL, text, CANONICAL]) == (
        [uuid.UUID(CANONICAL).bytes, hash_of(text), uuid.UUID(CANONICAL).bytes],
        [None, text, None],
    )


def test_each_character_of_a_uuid_counts(seed: int) -> None:
    random = Random(seed)
    allowed = set("0123456789abcdef")
    texts = [CANONICAL[:place] + chr(byte) + CANONICAL[place + 1 :] for place in range(36) for byte in range(128)]
    random.shuffle(texts)
    _, kept = split(texts)
    for text, other in zip(texts, kept, strict=True):
        is_canonical = all(char == "-" if place in (8, 13, 18, 23) else char in allowed for place, char in enumerate(text))
        assert other == (None if is_canonical else text)


def test_the_hash_never_changes() -> None:
    uuids, _ = split(["", "e1", "order-4711", "x" * 100])
    assert [one.hex() for one in uuids] == [
        "00000000000000000000000000000000",
        "70f87198c00d7c265dba40818ad13989",
        "f778c39f55ec7ae61301898ff5a6d23f",
        "5f6c9c34026c5f8ce0ac1caba6eb3d04",
    ]


def test_the_hash_of_many_is_the_hash_of_each(seed: int) -> None:
    random = Random(seed)
    texts = ["".join(random.choices("abcdé\0", k=random.choice([0, 1, 7, 8, 9, 16, 40, 1_000]))) for _ in range(500)]
    array = pa.array(texts)
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int32).astype(np.int64)
    hashes = text_hash(np.frombuffer(data, np.uint8), bounds[:-1], bounds[1:])
    assert [row.tobytes() for row in hashes] == [hash_of(text) for text in texts]


def test_a_slice_of_ids_is_read_as_its_own(seed: int) -> None:
    ids = pa.array([CANONICAL, "e1", CANONICAL, "", "e2"])
    uuids, texts = uuid_and_text(ids[1:4])
    assert (uuids.storage.to_pylist(), texts.to_pylist()) == (
        [hash_of("e1"), uuid.UUID(CANONICAL).bytes, hash_of("")],
        ["e1", None, ""],
    )
