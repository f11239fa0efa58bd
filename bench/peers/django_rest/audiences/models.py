"""Tables of the Django peer as Django models: the schema of Longlist's audience work."""

from __future__ import annotations

import secrets
import time

from django.db import models


def new_id() -> str:
    """A 24-character, time-ordered id: 8 hex characters of seconds, 16 of chance."""
    return f"{int(time.time()):08x}{secrets.token_hex(8)}"


class AccountGroup(models.Model):
    """One client of the installation."""

    id = models.CharField(max_length=24, primary_key=True, default=new_id)
    name = models.CharField(max_length=255)
    unique_audience_names = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)


class ApiKey(models.Model):
    """A key, found by the SHA-256 of its text."""

    id = models.CharField(max_length=24, primary_key=True, default=new_id)
    key_hash = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=255)
    permissions = models.JSONField()
    account_group_ids = models.JSONField()
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)


class Audience(models.Model):
    """A named list of prospects; `active_job_id` is set while a job fills it."""

    id = models.CharField(max_length=24, primary_key=True, default=new_id)
    account_group = models.ForeignKey(AccountGroup, on_delete=models.CASCADE)
    name = models.CharField(max_length=255)
    type = models.CharField(max_length=32)
    description = models.TextField(null=True)
    folder_id = models.CharField(max_length=24, null=True)
    prospect_count = models.IntegerField(default=0)
    active_job_id = models.CharField(max_length=24, null=True)
    version = models.IntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        """The index the list walks."""

        indexes = [
            models.Index(fields=["account_group", "created_at", "id"], name="audiences_newest")
        ]


class Event(models.Model):
    """One line of the change feed, written in the transaction of its change."""

    sequence = models.BigAutoField(primary_key=True)
    id = models.CharField(max_length=24, default=new_id)
    account_group = models.ForeignKey(AccountGroup, on_delete=models.CASCADE, db_index=False)
    type = models.CharField(max_length=64)
    resource_id = models.CharField(max_length=24)
    data = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """The index the feed walks."""

        indexes = [models.Index(fields=["account_group", "sequence"], name="events_group")]
