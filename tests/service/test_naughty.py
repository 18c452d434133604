"""Naughty strings through every place that takes a text: each comes back exactly, or is refused with 400."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

NAUGHTY: list[str] = json.loads((Path(__file__).parent / "naughty.json").read_text("ascii"))
FIELDS = ("name", "description", "claims", "claims' names", "scopes")


def is_text(text: str) -> bool:
    """Whether it is one that can be kept: no halves of surrogate pairs, no U+0000."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def with_field(field: str, text: str) -> dict[str, Any]:
    match field:
        case "claims":
            return {"claims": {"text": text, "list": [text]}}
        case "claims' names":
            return {"claims": {text: 1}}
        case "scopes":
            return {"scopes": [text]}
    return {field: text}


def test_each_string_in_each_field_comes_back_exactly_or_is_400(http: httpx.Client, subject: str) -> None:
    kept = dict.fromkeys(FIELDS, 0)
    made: dict[str, dict[str, Any]] = {}
    for text in NAUGHTY:
        for field in FIELDS:
            body = {"name": "a name", "subject": subject} | with_field(field, text)
            answer = http.post("/api_keys", content=json.dumps(body))  # ASCII: what is naughty is escaped
            if not is_text(text):
                assert answer.status_code == 400, (field, text)
            elif answer.status_code == 201:
                kept[field] += 1
                made[answer.json()["id"]] = body
                assert {name: answer.json()[name] for name in body} == body
            else:
                assert answer.status_code == 400, (field, text, answer.text)
    read = {
        key["id"]: key
        for offset in range(0, len(made), 100)
        for key in http.get("/api_keys", params={"subject": subject, "limit": 100, "offset": offset}).json()[
            "data"
        ]
    }
    assert {id_: {name: read[id_][name] for name in body} for id_, body in made.items()} == made
    # The rules that refuse are few: white space at an end of a name, lengths, and what looks like a secret.
    assert all(count > len(NAUGHTY) * 0.75 for count in kept.values()), kept
    assert kept["claims"] >= kept["description"] >= kept["name"]


def test_each_string_in_the_query_finds_what_has_it_or_is_400(http: httpx.Client, subject: str) -> None:
    names = {}
    for text in NAUGHTY:
        body = {"name": f"<{text}>", "subject": subject}
        answer = http.post("/api_keys", content=json.dumps(body))
        if answer.status_code == 201:
            names[answer.json()["id"]] = text
    assert len(names) > len(NAUGHTY) * 0.75
    for api_key_id, text in names.items():
        quoted = quote(f"<{text}>", safe="")
        page = http.get(f"/api_keys?subject={subject}&limit=100&query={quoted}").json()
        assert api_key_id in {key["id"] for key in page["data"]}, text
    for text in NAUGHTY:
        bare = quote(text.encode("utf-8", "surrogatepass"), safe="")
        answer = http.get(f"/api_keys?subject={subject}&query={bare}")
        assert answer.status_code == (200 if is_text(text) and len(text) <= 255 else 400), text


def test_each_string_in_the_path_is_400_or_another_place(http: httpx.Client) -> None:
    for text in NAUGHTY:
        quoted = quote(text.encode("utf-8", "surrogatepass"), safe="")
        for path in (f"/api_keys/{quoted}", f"/v1/api_keys/{quoted}/secret"):
            answer = http.get(path)
            if text in ("", "..", ".", "ak_" + "0" * 32):  # another path, or an unknown id
                assert answer.status_code in (400, 404), text
            else:
                assert answer.status_code == 400, (path, answer.text)


def test_each_string_as_a_secret_is_404_or_400(http: httpx.Client) -> None:
    for text in NAUGHTY:
        answer = http.post("/api_keys/verify", content=json.dumps({"secret": text}))
        assert answer.status_code == (404 if is_text(text) else 400), text
