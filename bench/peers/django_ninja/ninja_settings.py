"""Settings of the Django Ninja peer: those of the Django REST framework peer, with other routes.

Models, database, trace ids and the number of threads are the same, so that the two differ by the
framework alone.
"""

from __future__ import annotations

from settings import *  # noqa: F403 - this is how Django's settings are built on others

ROOT_URLCONF = "ninja_urls"
INSTALLED_APPS = ["audiences"]
