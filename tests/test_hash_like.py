"""What looks like a hash, and what does not."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from hashmatch.lists.hash_like import looks_like_a_hash, masked, without_hashes

MD5 = hashlib.md5(b"x").digest()
SHA1 = hashlib.sha1(b"x").digest()
HASHES = {
    "a 64-bit hash": "d5a9b36c27c86c93",
    "md5": MD5.hex(),
    "md5 in capitals": MD5.hex().upper(),
    "md5 in pairs": MD5.hex(":"),
    "md5 in base64": base64.b64encode(MD5).decode(),
    "sha1 in base64": base64.b64encode(SHA1).decode(),
    "sha1 without padding": base64.b64encode(SHA1).decode().rstrip("="),
    "tiger": hashlib.sha256(b"x").hexdigest()[:48],
    "photodna": ",".join(str(n) for n in range(144)),
    "photodna, spaced": " ".join(str(n) for n in range(144)),
    "photodna in base64": base64.b64encode(bytes(range(144))).decode(),
    "ssdeep": "3:AXGBicFlgVNhBGcL6wCrFQEv:AXGHsNhxLsr2C",
    "a number of 64 bits": str(2**63 + 12345),
}
OTHERS = [
    "",
    "C:\\Users\\Müller\\Pictures\\IMG_20261122.jpg",
    "/home/Examiner4/Case-2026-000123/exports/INTERPOL_ICSE_Baseline_2026.jsonl",
    "2026-11-22T09:12:38.123456Z",
    "550e8400-e29b-41d4-a716-446655440000",
    "00:1a:2b:3c:4d:5e",
    "1, 2, 3, 4, 5, 6",
    "1920x1080, 25 frames",
    "see the bedded deadbeef facade",
]


@pytest.mark.parametrize("text", HASHES.values(), ids=list(HASHES))
def test_hashes(text: str) -> None:
    assert looks_like_a_hash(text)
    assert looks_like_a_hash(f"see {text}, please")
    assert text not in masked(f"see {text}, please")
    assert masked(f"see {text}, please").startswith("see (")


@pytest.mark.parametrize("text", OTHERS)
def test_other_text(text: str) -> None:
    assert not looks_like_a_hash(text)
    assert masked(text) == text


@pytest.mark.parametrize("text", HASHES.values(), ids=list(HASHES))
def test_metadata_at_every_depth(text: str) -> None:
    fields = {"plain": text, "deep": [{"Digest": text, "Name": "a.jpg"}, 1], "gone": [[text], {"x": {"y": text}}]}
    kept, lost = without_hashes(json.dumps(fields | {"note": "a", "named": {text: 1, "b": True}}))
    assert kept == {"deep": [{"Name": "a.jpg"}, 1], "note": "a", "named": {"b": True}}
    assert sorted(lost) == ["deep", "gone", "named", "plain"]


def test_metadata_that_holds_none() -> None:
    fields = {"a": OTHERS, "b": {}, "c": [], "d": None, "e": 2**40, "f": 1 / 3, "g": True, "h": list(range(15))}
    assert without_hashes(json.dumps(fields)) == (fields, [])
    assert without_hashes(json.dumps(fields | {"i": MD5.hex()})) == (fields, ["i"])


@pytest.mark.parametrize("value", [list(MD5), 2**64 - 1, [2**64 - 1], {MD5.hex(): "a.jpg"}])
def test_numbers_and_names(value: Any) -> None:
    assert without_hashes(json.dumps({"x": value, "y": 1})) == ({"y": 1}, ["x"])
    assert without_hashes(json.dumps({MD5.hex(): 1})) == ({}, [MD5.hex()])


def test_escapes_hide_nothing() -> None:
    escaped = "".join(f"\\u{ord(c):04x}" for c in MD5.hex())
    assert without_hashes(f'{{"x":"{escaped}","y":"1\\n2"}}') == ({"y": "1\n2"}, ["x"])
