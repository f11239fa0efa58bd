"""What goes in and out of the Django peer."""

from __future__ import annotations

import unicodedata

from rest_framework import serializers

from audiences.models import Audience


class AudienceSerializer(serializers.ModelSerializer):
    """The audience a caller sees."""

    folderId = serializers.CharField(source="folder_id")
    prospectCount = serializers.IntegerField(source="prospect_count")
    createdAt = serializers.DateTimeField(source="created_at")

    class Meta:
        """The seven members, in their order."""

        model = Audience
        fields = ["id", "name", "type", "description", "folderId", "prospectCount", "createdAt"]
        read_only_fields = fields


class AudienceUpdateSerializer(serializers.Serializer):
    """Body of PATCH: a member left out keeps what is stored."""

    name = serializers.CharField(max_length=255, required=False)
    description = serializers.CharField(
        max_length=2000, required=False, allow_null=True, allow_blank=True
    )

    def validate_name(self, value: str) -> str:
        """The name in NFC."""
        return unicodedata.normalize("NFC", value)

    def validate_description(self, value: str | None) -> str | None:
        """The description in NFC; empty text is none."""
        return unicodedata.normalize("NFC", value) if value else None

    def validate(self, attrs: dict[str, str | None]) -> dict[str, str | None]:
        """At least one member, and no unknown one."""
        if not attrs or set(self.initial_data) - set(self.fields):
            raise serializers.ValidationError("Send name, description or both.")
        return attrs
