"""Run the site against an emulator in the same process."""

import os

from django.core.management import execute_from_command_line

from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator

with Emulator() as emulator:
    os.environ["API_URL"] = os.environ["HELLOJOHN_API_URL"] = emulator.url
    os.environ["HELLOJOHN_TENANT_ID"] = emulator.tenant_id
    os.environ["HELLOJOHN_PUBLISHABLE_KEY"] = emulator.publishable_key
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    print(f"Sign in as {DEMO_EMAIL} with the password {DEMO_PASSWORD!r}.")
    execute_from_command_line(["django", "runserver", "--noreload", os.environ.get("PORT", "8000")])
