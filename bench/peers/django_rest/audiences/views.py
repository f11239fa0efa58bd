"""The audience work of Longlist on Django REST framework, written as its users would."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from rest_framework.exceptions import APIException, NotFound
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audiences.models import Audience, Event
from audiences.serializers import AudienceSerializer, AudienceUpdateSerializer


def envelope(request: Request, data: Any) -> dict[str, Any]:
    """What every success answers."""
    return {"success": True, "data": data, "error": None, "traceId": request.trace_id}


class NotReady(APIException):
    """A job is filling the audience."""

    status_code = 409
    default_detail = "The audience is still being filled by a prospecting job."


class AudienceDetail(APIView):
    """PATCH of one audience."""

    required_permission = "audiences:write"

    def patch(self, request: Request, group_id: str, audience_id: str) -> Response:
        """Change name, description or both, unless a job is filling the audience."""
        body = AudienceUpdateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            scoped = Audience.objects.filter(pk=audience_id, account_group_id=group_id)
            changed = scoped.filter(active_job_id__isnull=True).update(
                **body.validated_data, version=F("version") + 1, updated_at=timezone.now()
            )
            audience = scoped.first()
            if audience is None:
                raise NotFound
            if not changed:
                raise NotReady
            data = AudienceSerializer(audience).data
            Event.objects.create(
                account_group_id=group_id,
                type="audience.updated",
                resource_id=audience_id,
                data=data,
            )
        etag = f'"{audience.id}-{audience.version}"'
        return Response(envelope(request, data), headers={"ETag": etag})


class NewestFirst(CursorPagination):
    """Keyset pages in the envelope."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    ordering = ("-created_at", "-id")

    def get_paginated_response(self, data: Any) -> Response:
        """Items, next cursor and whether there is more."""
        page = {"items": data, "nextCursor": self.get_next_link(), "hasMore": self.has_next}
        return Response(envelope(self.request, page))


class AudienceList(ListAPIView):
    """The audiences of a group."""

    required_permission = "audiences:read"
    serializer_class = AudienceSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Audience]:
        """Those that no job is filling."""
        return Audience.objects.filter(
            account_group_id=self.kwargs["group_id"], active_job_id__isnull=True
        )
