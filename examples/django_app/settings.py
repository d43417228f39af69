"""The settings of the project."""

import os

ROOT_URLCONF = "views"
MIDDLEWARE = ["views.middleware"]  # it also refuses the forms of other sites
ALLOWED_HOSTS = [os.environ.get("HOST", ".localhost"), "127.0.0.1"]
