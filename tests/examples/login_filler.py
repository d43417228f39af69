"""A browser without a person: it opens the address of a sign-in, fills in the login page, and follows."""

import re
import sys

import httpx

from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD

with httpx.Client(follow_redirects=True, trust_env=False) as browser:
    page = browser.get(sys.argv[1])
    flow = re.search('name="flow" value="([^"]+)"', page.text)[1]
    form = {"flow": flow, "email": DEMO_EMAIL, "password": DEMO_PASSWORD}
    browser.post(page.url.join("/login"), data=form)
