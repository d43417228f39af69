"""The pages of v1 for a browser: login, the pages behind the links of mails, and the inbox.

Where a link names the app's own page (``redirect_to``), the button takes the link's token there, and the app
uses it. Otherwise the page here does the work.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hellojohn._secret import Secret
from hellojohn.emulator.addresses import with_query
from hellojohn.emulator.mail import Inbox
from hellojohn.emulator.pages import NEW_PASSWORD, Form, credentials, inbox_page, leave_for, page
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.requests import Fields, read_form, read_query
from hellojohn.emulator.v1.links import LinkKind
from hellojohn.emulator.v1.oauth import Flow
from hellojohn.emulator.v1.routes.ways import LOGIN_PAGE
from hellojohn.emulator.v1.ways import PAGES, Ways

_TITLES: Final = {
    LinkKind.MAGIC_LINK: ("Sign in", "Press the button to sign in.", "Sign in"),
    LinkKind.PASSWORD_RESET: ("Set a new password", "Press the button to choose a new password.", "Continue"),
    LinkKind.EMAIL_VERIFICATION: ("Confirm your email", "Press the button to confirm it.", "Confirm"),
}


class PageRoutes:
    """The handlers. A refusal is a page, too."""

    def __init__(self, ways: Ways, inbox: Inbox) -> None:
        """Serve these rules and this inbox."""
        self._ways = ways
        self._inbox = inbox

    def inbox(self, _request: Request) -> Response:
        """Show every mail."""
        return inbox_page(self._inbox[:])

    # The provider's page

    def login(self, request: Request) -> Response:
        """Show the login page of a sign-in that has begun."""
        try:
            flow_id = read_query(request, "flow").text("flow")
            return _login(flow_id, self._ways.flow(flow_id))
        except ApiProblem as problem:
            return _refused("Sign in", problem)

    def submit_login(self, request: Request) -> Response:
        """Finish a sign-in, or give it up."""
        try:
            fields = read_form(request, "flow", "email", "password", "cancel")
            flow_id = fields.text("flow")
            flow = self._ways.flow(flow_id)
        except ApiProblem as problem:
            return _refused("Sign in", problem)
        try:
            return leave_for(self._login(flow_id, fields))
        except ApiProblem as problem:
            return _login(flow_id, flow, email=_email_in(fields), problem=problem)

    def _login(self, flow_id: str, fields: Fields) -> str:
        if fields.optional_text("cancel"):
            return self._ways.deny(flow_id)
        return self._ways.approve(flow_id, fields.text("email"), fields.secret("password"))

    # The pages behind links

    def magic_link(self, request: Request) -> Response:
        """Show the page of a magic link."""
        return self._visit(request, LinkKind.MAGIC_LINK)

    def submit_magic_link(self, request: Request) -> Response:
        """Take the token to the app, or show it where the app has no page."""
        return self._submit(request, LinkKind.MAGIC_LINK)

    def reset_password(self, request: Request) -> Response:
        """Show the page of a password reset."""
        return self._visit(request, LinkKind.PASSWORD_RESET)

    def submit_reset_password(self, request: Request) -> Response:
        """Take the token to the app, or set the password."""
        return self._submit(request, LinkKind.PASSWORD_RESET)

    def verify_email(self, request: Request) -> Response:
        """Show the page of an address verification."""
        return self._visit(request, LinkKind.EMAIL_VERIFICATION)

    def submit_verify_email(self, request: Request) -> Response:
        """Take the token to the app, or verify the address."""
        return self._submit(request, LinkKind.EMAIL_VERIFICATION)

    def _visit(self, request: Request, kind: LinkKind) -> Response:
        try:
            token = read_query(request, "token").secret("token")
            return self._link_page(kind, token)
        except ApiProblem as problem:
            return _refused(_TITLES[kind][0], problem)

    def _submit(self, request: Request, kind: LinkKind) -> Response:
        try:
            fields = read_form(request, "token", "password")
            token = fields.secret("token")
            redirect_to = self._ways.link(kind, token).redirect_to
        except ApiProblem as problem:
            return _refused(_TITLES[kind][0], problem)
        if redirect_to is not None:
            return leave_for(with_query(redirect_to, token=token.reveal()))
        try:
            return self._carry_out(kind, token, fields)
        except ApiProblem as problem:
            return self._link_page(kind, token, problem=problem)

    def _carry_out(self, kind: LinkKind, token: Secret, fields: Fields) -> Response:
        if kind is LinkKind.PASSWORD_RESET:
            self._ways.reset_password(token, fields.secret("password"))
            return page("Password changed", "Sign in with the new password.")
        if kind is LinkKind.EMAIL_VERIFICATION:
            self._ways.verify_email(token)
            return page("Email confirmed", "You can close this window.")
        return page("Go back to the app", "Paste this code into the app:", token.reveal())

    def _link_page(self, kind: LinkKind, token: Secret, *, problem: ApiProblem | None = None) -> Response:
        link = self._ways.link(kind, token)
        title, text, button = _TITLES[kind]
        asks = kind is LinkKind.PASSWORD_RESET and link.redirect_to is None
        account = self._ways.email_of(link) if asks else ""
        form = Form(
            action=PAGES[kind],
            button="Set password" if asks else button,
            inputs=(NEW_PASSWORD,) if asks else (),
            hidden={"token": token.reveal()},
            account=account,
        )
        said = None if problem is None else problem.message
        status = 200 if problem is None else problem.status
        return page(title, f"For {account}" if asks else text, form=form, problem=said, status=status)


def _email_in(fields: Fields) -> str:
    """Return the email that was typed, to show it again."""
    try:
        return fields.text("email")
    except ApiProblem:
        return ""


def _login(flow_id: str, flow: Flow, *, email: str = "", problem: ApiProblem | None = None) -> Response:
    form = Form(
        action=LOGIN_PAGE,
        button="Sign in",
        inputs=credentials(email),
        hidden={"flow": flow_id},
        cancel="Cancel",
    )
    text = f"The emulator plays {flow.provider.title()}. Sign in as one of its users."
    said = None if problem is None else problem.message
    return page("Sign in", text, form=form, problem=said, status=200 if problem is None else problem.status)


def _refused(title: str, problem: ApiProblem) -> Response:
    return page(title, problem=problem.message, status=problem.status)
