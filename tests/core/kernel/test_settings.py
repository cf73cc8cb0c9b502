from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta, Struct

from factory_core.kernel.work import worker_address
from factory_core.settings import KernelSettings, Secret, SettingsError, read_sources


class Plan(StrEnum):
    FREE = "free"
    PRO = "pro"


class Billing(Struct, frozen=True):
    key: Secret
    plan: Plan = Plan.FREE
    trial_days: Annotated[int, Meta(ge=0)] = 14
    live: bool = False
    folder: Path | None = None
    countries: tuple[str, ...] = ()
    rate: float = 0.5


def read(home: Path, **variables: str) -> Billing:
    return read_sources({"FACTORY_HOME": str(home), **variables}).read(Billing, "billing")


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(
    home: Path, write_settings: Callable[[str], None]
) -> None:
    write_settings('[billing]\nkey = "file"\ntrial_days = 3\nlive = true\ncountries = ["de", "fr"]')
    settings = read(home, FACTORY_BILLING_TRIAL_DAYS="7")
    assert settings.trial_days == 7
    assert settings.live is True
    assert settings.countries == ("de", "fr")
    assert settings.rate == 0.5
    assert settings.key.reveal() == "file"


def test_text_becomes_the_type_of_the_field(home: Path) -> None:
    settings = read(
        home,
        FACTORY_BILLING_KEY="k",
        FACTORY_BILLING_PLAN="pro",
        FACTORY_BILLING_LIVE="true",
        FACTORY_BILLING_FOLDER="/srv/x",
        FACTORY_BILLING_COUNTRIES="de, fr,",
        FACTORY_BILLING_RATE="0.25",
    )
    assert settings == Billing(Secret("k"), Plan.PRO, 14, True, Path("/srv/x"), ("de", "fr"), 0.25)


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("FACTORY_BILLING_TRIAL_DAYS", "a week", "Expected `int`"),
        ("FACTORY_BILLING_TRIAL_DAYS", "-1", ">= 0"),
        ("FACTORY_BILLING_PLAN", "gold", "gold"),
        ("FACTORY_BILLING_LIVE", "perhaps", "Expected `bool`"),
    ],
)
def test_a_malformed_setting_is_named_with_its_variable(
    home: Path, variable: str, value: str, reason: str
) -> None:
    with pytest.raises(SettingsError, match=variable) as caught:
        read(home, FACTORY_BILLING_KEY="k", **{variable: value})
    assert reason in str(caught.value)


def test_a_malformed_value_of_the_file_is_named_with_its_table(
    home: Path, write_settings: Callable[[str], None]
) -> None:
    write_settings('[billing]\nkey = "k"\ntrial_days = "7"')
    with pytest.raises(SettingsError, match=r"\[billing\] trial_days .*studio.toml"):
        read(home)


def test_a_missing_setting_without_default_is_named(home: Path) -> None:
    with pytest.raises(SettingsError, match="FACTORY_BILLING_KEY"):
        read(home)


@pytest.mark.parametrize("text", ["[billing", "billing = 3", "\ud800"])
def test_a_broken_file_is_named(home: Path, text: str) -> None:
    (home / "studio.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SettingsError, match=r"studio\.toml"):
        read(home, FACTORY_BILLING_KEY="k")


def test_what_nothing_reads_is_a_warning_with_the_nearest_name(
    home: Path, write_settings: Callable[[str], None]
) -> None:
    write_settings("[gone]\nx = 1\n[billing]\ntrail_days = 3\n[kernel]\nport = 1")
    sources = read_sources({"FACTORY_HOME": str(home), "FACTORY_PROT": "1", "FACTORY_BILLING_KEY": "k"})
    warnings = "\n".join(sources.leftovers({"kernel": KernelSettings, "billing": Billing}))
    assert "FACTORY_PROT is set, but nothing installed reads it; did you mean FACTORY_PORT" in warnings
    assert "[gone]" in warnings
    assert "trail_days in [billing], but nothing reads it; did you mean trial_days" in warnings
    assert warnings.count("\n") == 2


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("hunter2")
    settings = KernelSettings(database_url=secret)
    assert "hunter2" not in f"{secret} {secret!r} {settings} {settings!r} {[secret]}"
    assert secret.reveal() == "hunter2"
    with pytest.raises(TypeError):
        msgspec.json.encode(settings)
    assert secret == Secret("hunter2") != Secret("hunter3")
    assert len({secret, Secret("hunter2")}) == 1
    assert not Secret("")


def test_without_a_home_the_platforms_data_folder_is_used() -> None:
    assert read_sources({}).home.name == "factory-studio"
    assert read_sources({"FACTORY_HOME": "~/x"}).home == Path("~/x").expanduser()
    assert read_sources({}).read(KernelSettings).port == 8600


def test_the_environment_is_read_when_nothing_is_given(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "FACTORY_HOME", str(home))
    monkeypatch.setitem(os.environ, "FACTORY_PORT", "81")
    assert read_sources().read(KernelSettings).port == 81


@pytest.mark.parametrize(
    ("direct", "address"),
    [
        (None, ("postgresql://pooler/studio", 0)),
        (Secret("postgresql://db/studio"), ("postgresql://db/studio", 100)),
    ],
)
def test_workers_may_have_an_address_past_the_pooler(direct: Secret | None, address: tuple[str, int]) -> None:
    settings = KernelSettings(database_statement_cache=0, database_direct_url=direct)
    assert worker_address(settings, "postgresql://pooler/studio") == address
