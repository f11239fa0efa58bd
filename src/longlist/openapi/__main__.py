"""Writes the OpenAPI document to standard output."""

from __future__ import annotations

import sys

from longlist.openapi import document_text

sys.stdout.write(document_text())
