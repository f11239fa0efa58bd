"""Who may come in: the key by its hash, then its permission and account group."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission

from audiences.models import ApiKey

# The settings name these classes, and the framework's views read the settings.
if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key>`."""

    def authenticate(self, request: Request) -> tuple[None, ApiKey] | None:
        """The stored key as `request.auth`; no user stands behind a key."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            return None
        stored = ApiKey.objects.filter(key_hash=hashlib.sha256(key.encode()).hexdigest()).first()
        if stored is None or stored.revoked_at is not None:
            raise AuthenticationFailed("The API key is not valid.")
        if stored.expires_at is not None and stored.expires_at <= timezone.now():
            raise AuthenticationFailed("The API key is not valid.")
        return None, stored

    def authenticate_header(self, request: Request) -> str:
        """Makes a refusal 401 and not 403."""
        return "Bearer"


class HasPermission(BasePermission):
    """The view names the permission; the path names the group."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the key holds the permission and reaches the group."""
        key: Any = request.auth
        return (
            isinstance(key, ApiKey)
            and view.required_permission in key.permissions
            and view.kwargs["group_id"] in key.account_group_ids
        )
