"""The pages that a browser shows: plain HTML with labels and buttons, no script, nothing from elsewhere.

Every page works with a keyboard and a screen reader. A visit changes nothing: only a button does, because
mail scanners visit every link. Any API can use them.
"""

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Final, Literal

from starlette.responses import HTMLResponse, RedirectResponse, Response

from hellojohn.emulator.mail import Mail
from hellojohn.emulator.responses import timestamp

_STYLE: Final = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem;"
    "color:#1b1b1b;background:#fff}label{display:block;margin:1rem 0 .25rem}"
    "input{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;border:1px solid #595959}"
    "button{font:inherit;margin:1.5rem .5rem 0 0;padding:.5rem 1rem;border:1px solid #1b1b1b;"
    "background:#1b1b1b;color:#fff}button.second{background:#fff;color:#1b1b1b}"
    ":focus-visible{outline:3px solid #0b5fff;outline-offset:2px}[role=alert]{color:#a00000}"
    "p{overflow-wrap:anywhere}"
)
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
_SEE_OTHER: Final = 303


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One labelled field of a form.

    Attributes:
        name: The field's name.
        label: The text beside it.
        type: The kind of input that the browser shows.
        autocomplete: The hint for password managers.
        value: The text that is there already.
    """

    name: str
    label: str
    type: Literal["email", "password", "text"]
    autocomplete: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form with one main button.

    Attributes:
        action: Where it is posted to.
        button: The text of the main button.
        inputs: The fields.
        hidden: Values that are posted with it.
        account: Whose password is set, for password managers; it is neither shown nor posted.
        cancel: The text of a second button, which posts ``cancel=1``; ``None`` for no such button.
    """

    action: str
    button: str
    inputs: Sequence[Input] = ()
    hidden: Mapping[str, str]
    account: str = ""
    cancel: str | None = None


EMAIL: Final = Input(name="email", label="Email", type="email", autocomplete="username")
PASSWORD: Final = Input(name="password", label="Password", type="password", autocomplete="current-password")
NEW_PASSWORD: Final = Input(
    name="password", label="New password", type="password", autocomplete="new-password"
)


def credentials(email: str = "") -> Sequence[Input]:
    """Return the fields of a login form. After a mistake, the email is there already."""
    return replace(EMAIL, value=email), PASSWORD


def page(
    title: str, *texts: str, form: Form | None = None, problem: str | None = None, status: int = 200
) -> Response:
    """Return a page.

    Args:
        title: Its title and heading.
        *texts: Its paragraphs.
        form: Its form.
        problem: Why the last attempt failed; a screen reader announces it.
        status: The HTTP status.
    """
    alert = "" if problem is None else f'<p role="alert">{escape(problem)}</p>'
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in texts)
    return _document(title, alert + paragraphs + ("" if form is None else _form(form)), status=status)


def inbox_page(mails: Sequence[Mail]) -> Response:
    """Return the page that shows every mail, the newest first."""
    shown = "".join(_mail(mail) for mail in reversed(mails)) or "<p>No mail was sent yet.</p>"
    return _document("Inbox", shown, status=200)


def leave_for(url: str) -> Response:
    """Send the browser to another address after a form."""
    return RedirectResponse(url, _SEE_OTHER, _HEADERS)


def _document(title: str, content: str, *, status: int) -> Response:
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} - HelloJohn emulator</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{content}</main></body></html>"
    )
    return HTMLResponse(html, status, _HEADERS)


def _form(form: Form) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in form.hidden.items()
    )
    if form.account:
        hidden += f'<input type="text" autocomplete="username" value="{escape(form.account)}" hidden>'
    cancel = (
        ""
        if form.cancel is None
        else f'<button class="second" name="cancel" value="1" formnovalidate>{escape(form.cancel)}</button>'
    )
    return (
        f'<form method="post" action="{escape(form.action)}">{hidden}'
        f"{''.join(map(_input, form.inputs))}<button>{escape(form.button)}</button>{cancel}</form>"
    )


def _input(given: Input) -> str:
    return (
        f'<label for="{given.name}">{escape(given.label)}</label>'
        f'<input id="{given.name}" name="{given.name}" type="{given.type}" required'
        f' autocomplete="{given.autocomplete}" value="{escape(given.value)}">'
    )


def _mail(mail: Mail) -> str:
    link = "" if mail.link is None else f'<p><a href="{escape(mail.link)}">{escape(mail.subject)}</a></p>'
    code = "" if mail.code is None else f"<p>Code: <code>{escape(mail.code)}</code></p>"
    when = timestamp(mail.sent_at)
    return (
        f"<article><h2>{escape(mail.subject)}</h2>"
        f'<p>To {escape(mail.to)}, <time datetime="{when}">{when}</time></p>{link}{code}</article>'
    )
