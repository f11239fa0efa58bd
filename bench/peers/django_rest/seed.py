"""Make the tables and rows of the Django peer; print what the load needs as JSON."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
from datetime import timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from audiences.models import AccountGroup, ApiKey, Audience, new_id  # noqa: E402
from django.core.management import call_command  # noqa: E402 - needs the settings first
from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402


@transaction.atomic
def seed(count: int) -> dict[str, object]:
    """One group, one key with both permissions and `count` audiences, oldest first."""
    key = f"llk_{secrets.token_hex(24)}"
    group = AccountGroup.objects.create(name="Bench")
    ApiKey.objects.create(
        key_hash=hashlib.sha256(key.encode()).hexdigest(),
        name="bench",
        permissions=["audiences:read", "audiences:write"],
        account_group_ids=[group.id],
    )
    start = timezone.now() - timedelta(seconds=count)
    audiences = [
        Audience(
            id=new_id(),
            account_group=group,
            name=f"Audience {position:04d}",
            type="on_demand",
            description="Invented for the benchmark",
            created_at=start + timedelta(seconds=position),
            updated_at=start + timedelta(seconds=position),
        )
        for position in range(count)
    ]
    Audience.objects.bulk_create(audiences)
    return {"key": key, "group": group.id, "audiences": [audience.id for audience in audiences]}


if __name__ == "__main__":
    call_command("migrate", run_syncdb=True, verbosity=0)
    print(json.dumps(seed(int(sys.argv[1]))))
