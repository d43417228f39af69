"""The pages of the emulator, as a browser, a screen reader and a mail scanner see them."""

from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest

from hellojohn.emulator import DEMO_EMAIL, Mail

APP = "http://127.0.0.1:8000/signed-in?from=mail"
MAILS = {
    "/ui/magic-link": "/v1/auth/magic-link",
    "/ui/reset-password": "/v1/auth/password/forgot",
    "/ui/verify-email": "/v1/auth/email/verify/send",
}


class Outline(HTMLParser):
    """The parts of a page that make it usable."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.labelled, self.fields, self.hidden, self.text = [], set(), {}, {}, ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        """Note a tag."""
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "label":
            self.labelled.add(found["for"])
        if tag == "input" and found["type"] == "hidden":
            self.hidden[found["name"]] = found["value"]
        elif tag == "input" and "hidden" not in found:
            self.fields[found["id"]] = found

    def handle_data(self, data):
        """Note text."""
        self.text += data

    def having(self, tag, name):
        """Return the values of an attribute, of every tag that has it."""
        return [attrs[name] for found, attrs in self.tags if found == tag and name in attrs]


@pytest.fixture
def visit(caller):
    """Get a page."""
    return caller.http.get


@pytest.fixture
def press(caller):
    """Press the button of a page, with its fields filled in."""

    def run(page, **fields):
        outline = Outline(page.text)
        (action,) = outline.having("form", "action")
        return caller.http.post(f"{caller.emulator.url}{action}", data={**outline.hidden, **fields})

    return run


@pytest.fixture
def link(caller, emulator):
    """Ask for a mail, and return its link."""

    def ask(page, **more):
        assert caller.public(MAILS[page], {"email": DEMO_EMAIL, **more}).status_code == 200
        return emulator.inbox[-1].link

    return ask


@pytest.fixture
def login_page(emulator):
    """The address of a login page."""
    query = {
        "redirect_uri": "http://127.0.0.1:8765/callback",
        "state": "1",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
    }
    return f"{emulator.url}/v1/auth/oauth/google/authorize?{urlencode(query)}"


@pytest.fixture
def pages(caller, emulator, link, login_page):
    """Every page that there is, with and without a form, with and without a problem."""
    shown = [caller.http.get(link(page)) for page in MAILS]
    shown += [caller.http.get(link(page, redirect_to=APP)) for page in MAILS]
    shown += [caller.http.get(f"{emulator.url}{page}?token=lnk_made_up") for page in MAILS]
    shown += [caller.http.get(login_page, follow_redirects=True), caller.http.get(f"{emulator.url}/login")]
    return [*shown, caller.http.get(f"{emulator.url}/inbox")]


class TestEveryPage:
    def test_it_is_plain_and_labelled(self, pages):
        """A language, a title, one heading, a label for each field and a text on each button."""
        for page in pages:
            outline = Outline(page.text)
            tags = [tag for tag, _ in outline.tags]
            assert outline.having("html", "lang") == ["en"]
            assert (tags.count("title"), tags.count("h1"), tags.count("main")) == (1, 1, 1)
            assert outline.labelled == set(outline.fields)
            assert all(field["autocomplete"] for field in outline.fields.values())
            assert "tabindex" not in page.text
            assert "<button></button>" not in page.text

    def test_it_loads_nothing_from_elsewhere(self, pages):
        """No script, image, font or frame, and a policy that forbids them."""
        for page in pages:
            outline = Outline(page.text)
            assert not {"script", "img", "link", "iframe", "object"} & {tag for tag, _ in outline.tags}
            assert page.headers["content-security-policy"].startswith(
                "default-src 'none'; style-src 'sha256-"
            )

    def test_it_leaves_no_token_behind(self, pages):
        """No referrer and no cache: a token may be in the address."""
        for page in pages:
            assert page.headers["referrer-policy"] == "no-referrer"
            assert page.headers["cache-control"] == "no-store"

    def test_a_problem_is_read_out(self, pages):
        """A screen reader announces it, and the status says that something is wrong."""
        for page in pages:
            assert (page.status_code >= 400) == ('role="alert"' in page.text)


@pytest.mark.parametrize("page", MAILS)
class TestScanners:
    def test_a_hundred_visits_spoil_nothing(self, caller, emulator, link, press, page):
        """A mail scanner that follows the link, with any harmless method, leaves it good."""
        address = link(page, redirect_to=APP)
        for _ in range(50):
            assert caller.http.get(address).status_code == 200
            assert caller.http.head(address).status_code == 200
        answer = press(caller.http.get(address))
        assert (answer.status_code, answer.headers["location"][: len(APP)]) == (303, APP)

    def test_the_button_takes_the_token_to_the_app(self, visit, link, press, page):
        """The app's page gets the token added to its query, as often as the button is pressed."""
        shown = visit(link(page, redirect_to=APP))
        token = Outline(shown.text).hidden["token"]
        for _ in range(2):
            assert press(shown).headers["location"] == f"{APP}&token={token}"

    def test_a_link_that_has_expired_says_so(self, emulator, visit, link, press, page):
        """Both the page and its button explain what to do."""
        address = link(page)
        shown = visit(address)
        emulator.advance("1d")
        for answer in (visit(address), press(shown, password="new password")):
            assert answer.status_code == 400
            assert "Ask for a new one" in answer.text


class TestLoginPage:
    @pytest.mark.parametrize("email", ["", "ada@example.com", '"><script>alert(1)</script>'])
    def test_a_mistake_keeps_the_email(self, visit, press, login_page, email):
        """The person types the password again, not the email, which is shown as text."""
        shown = press(visit(login_page, follow_redirects=True), email=email, password="a bad guess")
        assert shown.status_code in (401, 422)
        outline = Outline(shown.text)
        assert outline.fields["email"]["value"] == email
        assert outline.fields["password"]["value"] == ""


class TestWithoutAnApp:
    def test_the_magic_link_shows_the_code_to_paste(self, caller, visit, link, press):
        """A program in a terminal has no page to go to: the person takes the code there."""
        shown = visit(link("/ui/magic-link"))
        token = Outline(shown.text).hidden["token"]
        answer = press(shown)
        assert token in Outline(answer.text).text
        assert caller.public("/v1/auth/magic-link/verify", {"token": token}).status_code == 200

    def test_the_reset_page_sets_the_password(self, caller, visit, link, press):
        """A weak password can be corrected on the page."""
        shown = visit(link("/ui/reset-password"))
        weak = press(shown, password="short")
        assert (weak.status_code, "8 characters" in weak.text) == (422, True)
        assert press(shown).status_code == 422
        done = press(weak, password="new password")
        assert (done.status_code, "Password changed" in done.text) == (200, True)
        assert caller.sign_in(DEMO_EMAIL, "new password")["id"]

    def test_the_verification_page_verifies(self, caller, emulator, visit, press):
        """The address counts as verified once the button was pressed."""
        emulator.add_user("ada@example.com", "correct horse", verified=False)
        caller.public(MAILS["/ui/verify-email"], {"email": "ada@example.com"})
        shown = visit(emulator.inbox[-1].link)
        token = caller.sign_in("ada@example.com", "correct horse")["access_token"]
        assert not caller.call("GET", "/v1/auth/me", bearer=token).json()["email_verified"]
        assert "Email confirmed" in press(shown).text
        assert caller.call("GET", "/v1/auth/me", bearer=token).json()["email_verified"]


class TestInboxPage:
    def test_it_shows_every_mail_with_its_link(self, emulator, visit, link):
        """A developer who runs the emulator reads the mails there, the newest first."""
        address = link("/ui/magic-link")
        link("/ui/reset-password")
        outline = Outline(visit(f"{emulator.url}/inbox").text)
        assert outline.having("a", "href") == [emulator.inbox[1].link, address]
        assert outline.text.index("Set a new password") < outline.text.index("Sign in to your account")

    def test_it_shows_codes(self, caller, emulator, visit):
        """A code that was sent by text message is there, too."""
        emulator.add_user("ada@example.com", "x", factors=["sms"])
        error = caller.try_sign_in("ada@example.com", "x").json()["error"]
        caller.call("POST", "/v1/mfa/send", json={"challenge_id": error["challenge_id"]})
        assert emulator.inbox[-1].code in visit(f"{emulator.url}/inbox").text

    def test_it_is_empty_at_first(self, emulator, visit):
        """The page says so."""
        assert "No mail was sent yet" in visit(f"{emulator.url}/inbox").text


class TestHostileForms:
    @pytest.mark.parametrize("body", [b"", b"\xff=1", b"&".join([b"a=1"] * 50), b"color=red", b"token="])
    def test_a_malformed_form_is_a_page(self, caller, body):
        """A form that no page posts is refused with a page, not with a crash."""
        for path in (*MAILS, "/login"):
            answer = caller.http.post(f"{caller.emulator.url}{path}", content=body)
            assert answer.status_code in (400, 422)
            assert 'role="alert"' in answer.text

    def test_markup_in_a_value_is_shown_as_text(self, caller, emulator):
        """Whatever a request carries, the page shows it as it is."""
        emulator.inbox.deliver(Mail(to="x", subject='<script>alert("1")</script>', sent_at=0.0))
        outline = Outline(caller.http.get(f"{emulator.url}/inbox").text)
        assert "script" not in {tag for tag, _ in outline.tags}
        assert '<script>alert("1")</script>' in outline.text
