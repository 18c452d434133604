"""djangorestframework-api-key, as a contender: what its permission class `HasAPIKey` calls on each request."""

from importlib.metadata import version
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

from scripts.benchmarks.peers.serving import asked, serve


def main() -> None:
    """Serve from an empty database."""
    given = asked()
    _configure(given["dsn"])
    call_command("migrate", verbosity=0)
    from rest_framework_api_key.models import APIKey  # its import needs the settings

    keys = [APIKey.objects.create_key(name="benchmark")[1] for _ in range(given["keys"])]

    def verify(number: int) -> None:
        assert APIKey.objects.is_valid(keys[number % len(keys)])

    serve(
        f"djangorestframework-api-key {version('djangorestframework-api-key')}, Django {django.__version__}",
        verify,
    )


def _configure(dsn: dict[str, Any]) -> None:
    """Django's defaults. Nothing ends a request here, so the connection stays open, which is in its favour."""
    database = {"ENGINE": "django.db.backends.postgresql", "NAME": dsn.pop("dbname"), "OPTIONS": dsn}
    settings.configure(
        INSTALLED_APPS=["rest_framework", "rest_framework_api_key"], DATABASES={"default": database}
    )
    django.setup()


if __name__ == "__main__":
    main()
