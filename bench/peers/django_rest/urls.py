"""Routes of the Django peer."""

from __future__ import annotations

from audiences.views import AudienceDetail, AudienceList
from django.urls import path

urlpatterns = [
    path("v1/accounts/<str:group_id>/audiences", AudienceList.as_view()),
    path("v1/accounts/<str:group_id>/audiences/<str:audience_id>", AudienceDetail.as_view()),
]
