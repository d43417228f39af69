"""Webhooks as their receiver sees them: signed, sent once, in order."""

import hashlib
import hmac
import json

import pytest

from hellojohn import ConfigurationError
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD


def signature(emulator, body):
    """Return the signature that the documentation asks for."""
    return "sha256=" + hmac.new(emulator.webhook_secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.fixture
def hooked(emulator, receiver):
    """The emulator with a receiver for its events."""
    emulator.webhook_url = receiver.url
    return emulator


@pytest.fixture
def events(hooked, receiver):
    """Wait for the events sent so far, and return their types and data."""

    def read():
        hooked.wait_for_webhooks()
        contents = [json.loads(body) for _, body in receiver.received]
        return [(content["type"], content["data"]) for content in contents]

    return read


class TestAtWill:
    def test_it_is_signed_over_the_body(self, hooked, receiver):
        """The receiver can verify the signature with the secret, as it is."""
        delivery = hooked.send_webhook("session.revoked", session_id="ses_1")
        ((headers, body),) = receiver.received
        assert headers["hellojohn-signature"] == signature(hooked, body)
        assert headers["hellojohn-event"] == delivery.webhook.event == "session.revoked"
        assert (delivery.status, delivery.error) == (200, None)

    def test_its_body_says_what_happened_and_when(self, hooked, receiver):
        """The type, the emulator's time, the tenant and the data are in the signed body."""
        hooked.send_webhook("user.disabled", user_id="usr_1")
        content = json.loads(receiver.received[0][1])
        assert content.pop("id").startswith("evt_")
        assert content == {
            "type": "user.disabled",
            "created_at": "2023-11-14T22:13:20.000Z",
            "tenant_id": hooked.tenant_id,
            "data": {"user_id": "usr_1"},
        }

    def test_every_delivery_has_its_own_id(self, hooked, receiver):
        """The same event twice is two deliveries."""
        for _ in range(2):
            hooked.send_webhook("user.deleted")
        ids = {headers["hellojohn-delivery-id"] for headers, _ in receiver.received}
        assert len(ids) == 2

    def test_it_can_be_built_without_being_sent(self, emulator, receiver):
        """A test can hand headers and body to a handler, as often as it likes."""
        webhook = emulator.webhook("session.revoked", session_id="ses_1")
        assert webhook.headers["HelloJohn-Signature"] == signature(emulator, webhook.body)
        assert json.loads(webhook.body)["data"] == {"session_id": "ses_1"}
        assert receiver.received == []

    def test_a_receiver_that_refuses_is_asked_once(self, hooked, receiver):
        """The emulator does not retry, and the delivery carries the status."""
        receiver.status = 500
        assert hooked.send_webhook("user.deleted").status == 500
        assert len(receiver.received) == 1

    def test_a_receiver_that_is_away_is_an_error_as_data(self, emulator, receiver):
        """A connection that fails does not raise."""
        emulator.webhook_url = "http://127.0.0.1:9/hooks"
        delivery = emulator.send_webhook("user.deleted")
        assert delivery.status is None
        assert "ConnectionRefusedError" in delivery.error

    def test_without_a_receiver_it_is_refused(self, emulator):
        """Sending without an address is a mistake of the test."""
        with pytest.raises(ConfigurationError, match="webhook_url"):
            emulator.send_webhook("user.deleted")

    @pytest.mark.parametrize("url", ["hooks", "ftp://x/y", "http://user:pw@x/", "http://x/#y", "", 5])
    def test_a_malformed_address_is_refused(self, emulator, url):
        """Only a plain http or https address can receive."""
        with pytest.raises(ConfigurationError, match="webhook_url"):
            emulator.webhook_url = url
        assert emulator.webhook_url is None

    @pytest.mark.parametrize("data", [object(), float("nan"), b"bytes"])
    def test_data_that_is_not_json_is_refused(self, hooked, data):
        """The body has to be written before it can be signed."""
        with pytest.raises(ConfigurationError, match="JSON"):
            hooked.webhook("user.deleted", value=data)


class TestByThemselves:
    def test_a_session_that_begins_and_ends_is_reported(self, caller, events):
        """The data have the session and the user in the API's shapes."""
        session = caller.sign_in()
        caller.secret("DELETE", f"/v1/sessions/{session['id']}")
        (created, began), (revoked, ended) = events()
        assert (created, revoked) == ("session.created", "session.revoked")
        assert (began["session"]["status"], ended["session"]["status"]) == ("active", "revoked")
        assert ended["session"]["id"] == session["id"]
        assert ended["user"]["email"] == DEMO_EMAIL

    def test_disabling_a_user_revokes_first(self, caller, hooked, events):
        """Each revoked session and then the user are reported."""
        caller.sign_in()
        hooked.disable_user(DEMO_EMAIL)
        assert [kind for kind, _ in events()][1:] == ["session.revoked", "user.disabled"]

    def test_a_user_that_comes_and_goes_is_reported(self, hooked, events):
        """Adding and deleting a user are events."""
        hooked.add_user("ada@example.com", "x")
        hooked.delete_user("ada@example.com")
        assert [(kind, data["user"]["email"]) for kind, data in events()] == [
            ("user.created", "ada@example.com"),
            ("user.deleted", "ada@example.com"),
        ]

    def test_a_changed_password_is_reported(self, caller, events):
        """A receiver can refuse the tokens issued before."""
        token = caller.sign_in()["access_token"]
        body = {"current_password": DEMO_PASSWORD, "new_password": "new password"}
        caller.call("POST", "/v1/auth/password/change", bearer=token, json=body)
        assert events()[-1][0] == "user.password_changed"

    def test_an_ended_session_is_reported_once(self, caller, hooked, events):
        """Revoking it again changes nothing."""
        session = caller.sign_in()
        for _ in range(2):
            hooked.revoke(session["id"])
        assert [kind for kind, _ in events()].count("session.revoked") == 1

    def test_without_a_receiver_nothing_is_kept(self, caller, emulator, receiver):
        """Events from before the address was set are not sent later."""
        caller.sign_in()
        emulator.webhook_url = receiver.url
        assert emulator.wait_for_webhooks() == ()

    def test_a_slow_receiver_does_not_slow_the_service(self, caller, hooked, receiver):
        """Events wait in line while requests are answered."""
        receiver.open.clear()
        for _ in range(3):
            caller.sign_in()
        assert receiver.received == []
        with pytest.raises(TimeoutError, match="too slow"):
            hooked.wait_for_webhooks(timeout=0.01)
        receiver.open.set()
        assert [delivery.status for delivery in hooked.wait_for_webhooks()] == [200] * 3

    def test_a_restart_goes_on_reporting(self, caller, hooked, events):
        """Stopping ends the thread that sends; the next event starts one."""
        caller.sign_in()
        hooked.wait_for_webhooks()  # one that is not delivered yet would be dropped
        hooked.restart()
        caller.sign_in()
        assert [kind for kind, _ in events()] == ["session.created"] * 2


def test_nothing_shows_a_secret(hooked):
    """Neither the secret nor a body is in a representation."""
    webhook = hooked.webhook("user.deleted", token="marker")
    assert "marker" not in repr(webhook)
    assert hooked.webhook_secret not in repr(webhook)
