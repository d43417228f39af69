"""The rules of v1 for links in mails, passwords and providers: every way in beside the password.

No HTTP. It works on the users and sessions of ``rules``, under its lock. Whether an address has an account is
never shown: a mail is sent or it is not.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from hellojohn._secret import Secret
from hellojohn.emulator.mail import Inbox, Mail
from hellojohn.emulator.records import Device, SessionStatus
from hellojohn.emulator.v1.accounts import check_password, check_state
from hellojohn.emulator.v1.links import Link, LinkKind, Links
from hellojohn.emulator.v1.oauth import Flow, OAuth
from hellojohn.emulator.v1.problems import V1Problem
from hellojohn.emulator.v1.records import Grant, User
from hellojohn.emulator.v1.rules import Rules

PAGES: Final = {
    LinkKind.MAGIC_LINK: "/ui/magic-link",
    LinkKind.PASSWORD_RESET: "/ui/reset-password",
    LinkKind.EMAIL_VERIFICATION: "/ui/verify-email",
}
_SUBJECTS: Final = {
    LinkKind.MAGIC_LINK: "Sign in to your account",
    LinkKind.PASSWORD_RESET: "Set a new password",
    LinkKind.EMAIL_VERIFICATION: "Confirm your email address",
}


class Ways:
    """Magic links, password resets, address verification and sign-in through a provider.

    Attributes:
        url: The address of the host, which links begin with.
    """

    def __init__(self, rules: Rules, *, clock: Callable[[], float], inbox: Inbox) -> None:
        """Work on these rules."""
        self._rules = rules
        self._clock = clock
        self._inbox = inbox
        self._links = Links(clock)
        self._oauth = OAuth(clock)
        self.url = ""

    # Links in mails

    def send(self, kind: LinkKind, email: str, *, redirect_to: str | None) -> None:
        """Send a link, if the address has an account."""
        with self._rules.lock:
            user = self._rules.accounts.find(email)
            if user is not None:
                self.send_to(user, kind, redirect_to=redirect_to)

    def send_to(self, user: User, kind: LinkKind, *, redirect_to: str | None) -> None:
        """Send a link to a user."""
        with self._rules.lock:
            token = self._links.create(kind, user.id, redirect_to=redirect_to)
        query = urlencode({"token": token.reveal()})
        mail = Mail(
            to=user.email,
            subject=_SUBJECTS[kind],
            link=f"{self.url}{PAGES[kind]}?{query}",
            sent_at=self._clock(),
        )
        self._inbox.deliver(mail)

    def link(self, kind: LinkKind, token: Secret) -> Link:
        """Return a link without using it up.

        Raises:
            V1Problem: It was used, has expired, has another purpose, never existed, or its user is gone.
        """
        with self._rules.lock:
            link = self._links.find(kind, token)
            if not self._rules.accounts.exists(link.user_id):
                raise V1Problem("link_expired")
            return link

    def email_of(self, link: Link) -> str:
        """Return the address to which a link was sent."""
        with self._rules.lock:
            return self._rules.accounts.get(link.user_id).email

    def enter_by_link(self, token: Secret, *, duration: str | None, device: Device) -> Grant:
        """Sign in with a magic link, which verifies the address as well.

        Raises:
            V1Problem: The link cannot be used, the account may not sign in, or a second factor is due.
        """
        with self._rules.lock:
            user = self._rules.accounts.get(self.link(LinkKind.MAGIC_LINK, token).user_id)
            check_state(user)
            self._links.redeem(token)
            user = self._rules.accounts.verify(user.id)
            return self._rules.enter(user, duration=duration, device=device)

    def verify_email(self, token: Secret) -> Link:
        """Note that the user receives mail, and return the link that proved it.

        Raises:
            V1Problem: The link cannot be used.
        """
        with self._rules.lock:
            link = self.link(LinkKind.EMAIL_VERIFICATION, token)
            self._links.redeem(token)
            self._rules.accounts.verify(link.user_id)
            return link

    # Passwords

    def reset_password(self, token: Secret, password: Secret) -> Link:
        """Set a password with a link, end every session of the user, and return the link.

        Raises:
            V1Problem: The link cannot be used, or the password is weak; then the link stays good.
        """
        with self._rules.lock:
            link = self.link(LinkKind.PASSWORD_RESET, token)
            check_password(password)
            self._rules.accounts.verify(link.user_id)
            self._set_password(link.user_id, password, keep=None)
            return link

    def change_password(self, session_id: str, current: Secret, new: Secret) -> None:
        """Change the password of a signed-in user, and end the user's other sessions.

        Raises:
            V1Problem: The session is over, the current password is wrong, or the new one is weak.
        """
        with self._rules.lock:
            session = self._rules.session(session_id)
            if session.status is not SessionStatus.ACTIVE:
                raise V1Problem("session_revoked")
            if self._rules.accounts.get(session.user_id).password != current:
                raise V1Problem("invalid_credentials")
            check_password(new)
            self._set_password(session.user_id, new, keep=session_id)

    def _set_password(self, user_id: str, password: Secret, *, keep: str | None) -> None:
        user = self._rules.accounts.set_password(user_id, password)
        self._links.drop(user_id)
        self._rules.revoke_all(user_id, keep=keep)
        self._rules.emit("user.password_changed", user)

    # Providers

    def start_oauth(self, provider: str, *, redirect_uri: str, state: str, challenge: str) -> str:
        """Begin a sign-in through a provider, and return its id.

        Raises:
            V1Problem: The provider is unknown, or the challenge is malformed.
        """
        with self._rules.lock:
            return self._oauth.start(provider, redirect_uri=redirect_uri, state=state, challenge=challenge)

    def flow(self, flow_id: str) -> Flow:
        """Return a sign-in that has begun.

        Raises:
            V1Problem: It has ended or never began.
        """
        with self._rules.lock:
            return self._oauth.get(flow_id)

    def approve(self, flow_id: str, email: str, password: Secret) -> str:
        """Finish a sign-in at the provider, and return the address that the browser goes to.

        Raises:
            V1Problem: The sign-in has ended, the credentials are wrong, or the account may not sign in.
        """
        with self._rules.lock:
            self._oauth.get(flow_id)
            user = self._rules.accounts.authenticate(email, password)
            return self._oauth.approve(flow_id, user.id)

    def approve_user(self, flow_id: str, email: str) -> str:
        """Finish a sign-in at the provider without a password; otherwise as ``approve``."""
        with self._rules.lock:
            return self._oauth.approve(flow_id, self._rules.accounts.named(email).id)

    def deny(self, flow_id: str) -> str:
        """Give a sign-in up, and return the address that the browser goes to.

        Raises:
            V1Problem: It has ended or never began.
        """
        with self._rules.lock:
            return self._oauth.deny(flow_id)

    def exchange(
        self,
        provider: str,
        code: Secret,
        *,
        verifier: Secret,
        redirect_uri: str,
        duration: str | None,
        device: Device,
    ) -> Grant:
        """Sign in with the code that the browser brought back.

        Raises:
            V1Problem: The code cannot be used, the account may not sign in, or a second factor is due.
        """
        with self._rules.lock:
            user_id = self._oauth.exchange(provider, code, verifier=verifier, redirect_uri=redirect_uri)
            if not self._rules.accounts.exists(user_id):
                raise V1Problem("oauth_code_invalid")
            return self._rules.enter(self._rules.accounts.get(user_id), duration=duration, device=device)
