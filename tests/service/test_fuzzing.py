"""schemathesis at the service, by its own description and by Clerk's published one."""

import json
import math
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from service import installing
from service.conftest import Service
from service.installing import FUZZING

from keyledger.http.openapi import document

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
SHORT = {"seed": 1, "phases": "fuzzing"}
LONG = {"seed": None, "phases": "examples,coverage,fuzzing"}
_SHOWN_CHARACTERS = 10_000


def clerk_s() -> dict[str, Any]:
    """Clerk's description, as published, but for what it leaves out.

    A create is answered 201, which Clerk's clients insist on, and a call without a credential 401. Subjects and
    creators may be any text here, so they are in answers too (Clerk's own lets `scim_` in, and not out).
    """
    found: dict[str, Any] = json.loads((FUZZING / "clerk_api_keys_openapi.json").read_text("utf-8"))
    created = found["paths"]["/api_keys"]["post"]["responses"]
    created["201"] = created["200"]
    for call in (call for path in found["paths"].values() for call in path.values()):
        call["responses"]["401"] = call["responses"]["400"]
        for part in _objects(call["responses"]):
            for text in _objects([part.get("subject"), part.get("created_by")]):
                text.pop("pattern", None)
    return found


def _objects(value: Any) -> list[dict[str, Any]]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if isinstance(value, dict) else []), *(found for each in inner for found in _objects(each))]


@pytest.mark.parametrize(
    ("description", "calls"),
    [pytest.param(lambda: json.loads(document()), 20, id="ours"), pytest.param(clerk_s, 7, id="clerk-s")],
)
@pytest.mark.parametrize(
    ("cases", "how"),
    [
        pytest.param(100, SHORT, id="100", marks=pytest.mark.slow),
        pytest.param(10_000, LONG, id="10000", marks=pytest.mark.slow),
    ],
)
def test_no_answer_is_an_error_of_the_server_s_or_one_that_is_not_described(
    service: Service,
    credential: str,
    tmp_path: Path,
    description: Any,
    calls: int,
    cases: int,
    how: dict[str, Any],
) -> None:
    """calls: how many there are that can be asked in more than one way."""
    described = tmp_path / "openapi.json"
    described.write_text(json.dumps(description()), "utf-8")
    seed = [] if how["seed"] is None else ["--seed", str(how["seed"])]
    done = subprocess.run(
        [
            *(installing.schemathesis(), "--config-file", FUZZING / "schemathesis.toml", "run", described),
            *("--url", service.url, "--checks", ",".join(CHECKS), "--phases", how["phases"]),
            *("--max-examples", str(math.ceil(cases * 1.05 / calls)), "--generation-database", "none"),
            *("--continue-on-failure", "--no-shrink", "--warnings", "off", "--no-color", *seed),
        ],
        cwd=tmp_path,
        env=os.environ | {"FUZZING_CREDENTIAL": credential, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
    )
    said = done.stdout[:_SHOWN_CHARACTERS] + done.stderr[-_SHOWN_CHARACTERS:]
    assert done.returncode == 0, said
    generated = re.search(r"([\d,]+) generated", done.stdout)
    assert generated is not None, said
    assert int(generated[1].replace(",", "")) >= cases
