"""Peppers against the ledger: one that was lost or changed is an error, and no refusal of every key."""

from pathlib import Path

import pytest

from keyledger import EmbeddedServerError, InvalidArgument, KeyLedger, PepperUnavailable, Settings
from keyledger.infrastructure.embedded.data_folder import DataFolder

A, B = b"a" * 32, b"b" * 32


def test_another_pepper_under_a_known_id_is_refused(dsn: str) -> None:
    KeyLedger.open(dsn, settings=Settings(peppers={"2026": A})).close()
    with pytest.raises(PepperUnavailable, match="'2026' is not the one"):
        KeyLedger.open(dsn, settings=Settings(peppers={"2026": B}))


def test_a_new_pepper_under_a_new_id_is_taken(dsn: str) -> None:
    KeyLedger.open(dsn, settings=Settings(peppers={"2026": A})).close()
    KeyLedger.open(dsn, settings=Settings(peppers={"2027": B, "2026": A})).close()
    KeyLedger.open(dsn, settings=Settings(peppers={"2027": B})).close()


def test_a_pepper_that_live_keys_need_is_a_warning_where_it_was_not_given(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    with KeyLedger.open(dsn, settings=Settings(peppers={"2030": A})) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1")
        assert (ledger.status().missing_peppers, ledger.status().health) == ((), "ok")

    with KeyLedger.open(dsn) as ledger:
        found = ledger.status()
        (warned,) = [record for record in caplog.records if record.name == "keyledger.peppers"]
        assert warned.levelname == "WARNING"
        assert "'2030'" in warned.getMessage()
        assert (found.missing_peppers, found.health) == (("2030",), "degraded")
        assert found.problems[0] == warned.getMessage()

        ledger.api_keys.revoke(key.id)
        assert (ledger.status().missing_peppers, ledger.status().problems) == ((), ())


def test_a_pepper_whose_keys_are_gone_may_be_retired(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    with KeyLedger.open(dsn, settings=Settings(peppers={"2030": A})) as ledger:
        ledger.api_keys.create(name="expired", subject="org_1", seconds_until_expiration=0.000001)
        ledger.api_keys.delete(ledger.api_keys.create(name="deleted", subject="org_1").id)

    with KeyLedger.open(dsn, settings=Settings(peppers={"2031": B})) as ledger:
        assert ledger.status().missing_peppers == ()
    assert not [record for record in caplog.records if record.name == "keyledger.peppers"]


def test_an_id_that_stands_twice_in_the_environment_is_refused(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYLEDGER_PEPPERS", "2026:" + "A" * 43 + "=,2026:" + "B" * 43 + "=")
    with pytest.raises(ValueError, match="KEYLEDGER_PEPPERS: each id once"):
        KeyLedger.open(dsn)


def test_an_embedded_ledger_makes_its_pepper_once(tmp_path: Path) -> None:
    pepper = tmp_path / "kl" / "pepper"
    with KeyLedger.open(data_dir=pepper.parent) as ledger:
        secret = str(ledger.api_keys.create(name="one", subject="org_1").secret)
    assert pepper.stat().st_mode & 0o777 == 0o600
    kept = pepper.rename(tmp_path / "kept")

    with pytest.raises(PepperUnavailable, match=r"restore the file .*pepper"):
        KeyLedger.open(data_dir=pepper.parent)
    assert not pepper.exists()

    kept.rename(pepper)
    with KeyLedger.open(data_dir=pepper.parent) as ledger:
        assert ledger.verify(secret).valid


def test_another_pepper_by_the_id_of_an_embedded_ledgers_own_is_refused(tmp_path: Path) -> None:
    pepper = DataFolder(tmp_path / "kl").pepper
    with pytest.raises(PepperUnavailable, match="'embedded' that the settings give is not this ledger's own"):
        KeyLedger.open(data_dir=pepper.parent, settings=Settings(peppers={"embedded": A}))

    KeyLedger.open(data_dir=pepper.parent, settings=Settings(peppers={"embedded": pepper.read_bytes()})).close()


def test_an_embedded_pepper_that_is_cut_short_or_no_file_is_said(tmp_path: Path) -> None:
    pepper = DataFolder(tmp_path / "kl").pepper
    KeyLedger.open(data_dir=pepper.parent).close()
    pepper.write_bytes(pepper.read_bytes()[:31])

    with pytest.raises(EmbeddedServerError, match=f"{pepper} holds 31 bytes and not 32"):
        KeyLedger.open(data_dir=pepper.parent)

    pepper.unlink()
    pepper.mkdir()
    with pytest.raises(EmbeddedServerError, match=f"{pepper} cannot be made or read"):
        KeyLedger.open(data_dir=pepper.parent)


def test_a_home_directory_of_nobody_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"data_dir.*~nosuchuser"):
        KeyLedger.open(data_dir="~nosuchuser/x")
