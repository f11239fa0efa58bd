"""Settings of the Django peer: production ones, and nothing installed that is not used."""

from __future__ import annotations

import os
from typing import Any

SECRET_KEY = os.environ["BENCH_SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
ROOT_URLCONF = "urls"
WSGI_APPLICATION = "wsgi.application"
INSTALLED_APPS = ["rest_framework", "audiences"]
MIDDLEWARE = [
    "audiences.middleware.trace_id",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_DATABASE: dict[str, Any]
if "BENCH_SQLITE_PATH" in os.environ:
    _DATABASE = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["BENCH_SQLITE_PATH"],
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 30,
            # Take the write lock at BEGIN: waiting for it there never fails a transaction.
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }
else:
    _DATABASE = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["BENCH_PG_NAME"],
        "HOST": os.environ["BENCH_PG_HOST"],
        "USER": "postgres",
        "CONN_MAX_AGE": None,
    }
DATABASES = {"default": _DATABASE}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["audiences.access.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["audiences.access.HasPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
