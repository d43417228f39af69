"""The table of v1's routes. The rows that HelloJohn has not published are marked."""

from dataclasses import dataclass
from typing import Final

from hellojohn.emulator.app import ANY_METHOD, ANY_SIZE, Call, Handler
from hellojohn.emulator.v1.links import LinkKind
from hellojohn.emulator.v1.routes.admin import AdminRoutes
from hellojohn.emulator.v1.routes.auth import AuthRoutes
from hellojohn.emulator.v1.routes.mfa import MfaRoutes
from hellojohn.emulator.v1.routes.pages import PageRoutes
from hellojohn.emulator.v1.routes.ways import LOGIN_PAGE, WayRoutes
from hellojohn.emulator.v1.ways import PAGES

_FACTORS: Final = "users/{user_id}/mfa/factors"


@dataclass(frozen=True, slots=True)
class Routes:
    """The handlers of v1, by topic."""

    auth: AuthRoutes
    mfa: MfaRoutes
    ways: WayRoutes
    admin: AdminRoutes
    pages: PageRoutes


def table(routes: Routes) -> list[Call]:
    """Return every route of v1."""
    return [*_api(routes), *_pages(routes.pages), *_host(routes.admin)]


def _api(routes: Routes) -> list[Call]:
    auth, mfa, ways, admin = routes.auth, routes.mfa, routes.ways, routes.admin
    rows: list[tuple[str, str, Handler]] = [
        ("POST", "auth/sign-up", auth.sign_up),
        ("POST", "auth/sign-in", auth.sign_in),
        ("POST", "auth/token/refresh", auth.refresh),
        ("POST", "auth/sign-out", auth.sign_out),  # not published
        ("GET", "auth/me", auth.me),
        ("POST", "auth/magic-link", ways.send_magic_link),
        ("POST", "auth/magic-link/verify", ways.verify_magic_link),  # not published
        ("POST", "auth/password/forgot", ways.forgot_password),
        ("POST", "auth/password/reset", ways.reset_password),  # not published
        ("POST", "auth/password/change", ways.change_password),
        ("POST", "auth/email/verify/send", ways.send_email_verification),  # not published
        ("POST", "auth/email/verify", ways.verify_email),  # not published
        ("GET", "auth/oauth/{provider}/authorize", ways.authorize),
        ("POST", "auth/oauth/{provider}/callback", ways.oauth_callback),
        ("POST", "mfa/verify", mfa.verify),
        ("POST", "mfa/send", mfa.send),  # not published
        ("GET", _FACTORS, mfa.list_factors),
        ("POST", _FACTORS, mfa.enroll),
        ("POST", _FACTORS + "/{factor_id}/confirm", mfa.confirm),
        ("DELETE", _FACTORS + "/{factor_id}", mfa.remove),
        ("POST", "users/{user_id}/mfa/backup-codes/generate", mfa.new_recovery_codes),
        ("GET", "sessions", admin.list_sessions),
        ("DELETE", "sessions", admin.revoke_sessions),  # not published
        ("POST", "sessions/verify", admin.verify_session),
        ("GET", "sessions/{session_id}", admin.get_session),
        ("DELETE", "sessions/{session_id}", admin.revoke_session),
        ("GET", "admin/config", admin.get_config),
        ("PATCH", "admin/config", admin.change_config),
    ]
    return [Call(name, (method,), f"/v1/{name}", handler) for method, name, handler in rows]


def _pages(pages: PageRoutes) -> list[Call]:
    rows: list[tuple[str, Handler, Handler]] = [
        (LOGIN_PAGE, pages.login, pages.submit_login),
        (PAGES[LinkKind.MAGIC_LINK], pages.magic_link, pages.submit_magic_link),
        (PAGES[LinkKind.PASSWORD_RESET], pages.reset_password, pages.submit_reset_password),
        (PAGES[LinkKind.EMAIL_VERIFICATION], pages.verify_email, pages.submit_verify_email),
    ]
    shown = [Call(f"{path[1:]} page", ("GET",), path, show) for path, show, _ in rows]
    posted = [Call(f"{path[1:]} page", ("POST",), path, submit) for path, _, submit in rows]
    return [*shown, *posted, Call("inbox page", ("GET",), "/inbox", pages.inbox)]


def _host(admin: AdminRoutes) -> list[Call]:
    return [
        Call(".well-known/jwks.json", ("GET",), "/.well-known/jwks.json", admin.jwks),
        Call("resource", ANY_METHOD, "/resource", admin.resource, ANY_SIZE),
        Call("resource", ANY_METHOD, "/resource/{path:path}", admin.resource, ANY_SIZE),
    ]
