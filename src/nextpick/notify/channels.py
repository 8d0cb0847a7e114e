"""How a state change is told: a signed POST, a mail, a command.

A webhook's body is JSON; ``X-Nextpick-Signature: t=SECONDS,v1=HEX`` signs ``SECONDS.BODY`` with HMAC-SHA256 under the
subscription's secret, and ``X-Nextpick-Id`` is the same when a delivery is made again. A command gets the same JSON on
its standard input.
"""

import hashlib
import hmac
import json
import smtplib
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from email.message import EmailMessage
from string import Template
from typing import Any
from urllib.parse import unquote, urlsplit

from nextpick.notify.subscriptions import Subscription
from nextpick.settings import Settings

_TIMEOUT_S, _COMMAND_TIMEOUT_S = 10.0, 60.0


class Undelivered(Exception):
    """A delivery that was not taken; the text says why."""


def deliver(subscription: Subscription, event: dict[str, Any], settings: Settings, now: float) -> None:
    """Tell a state change. Raises Undelivered."""
    try:
        if subscription.webhook is not None:
            _post(subscription, event, now)
        elif subscription.email is not None:
            _mail(subscription, event, settings)
        elif subscription.command is not None:
            _run(subscription.command, event)
    except urllib.error.HTTPError as error:
        raise Undelivered(f"{subscription.webhook} answered {error.code}") from None
    except subprocess.TimeoutExpired:
        raise Undelivered(f"the command took more than {_COMMAND_TIMEOUT_S:.0f} s") from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise Undelivered(f"{type(error).__name__}: {error}") from None


def as_json(event: dict[str, Any]) -> dict[str, Any]:
    """Return a state change as webhooks and commands get it, named as the events of AWS are."""
    if "published" in event:
        return {"id": event["id"], "time": _iso(event["time"]), **event["published"]}
    topic = {"TopicArn": "arn", "Subject": "subject", "Message": "message"}
    told = (
        topic
        if "message" in event
        else {
            "Arn": "arn",
            "Status": "status",
            "Name": "name",
            "Duration": "seconds",
            "FailureReason": "reason",
        }
    )
    return {
        "id": event["id"],
        "source": "nextpick",
        "detail-type": "Notification" if told is topic else f"Personalize {event['kind']} State Change",
        "time": _iso(event["time"]),
        "resources": [event["arn"]],
        "detail": {name: event.get(member) for name, member in told.items()},
    }


def signature(secret: str, body: bytes, seconds: int) -> str:
    """Return the value of X-Nextpick-Signature."""
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def rendered(template: str, event: dict[str, Any]) -> str:
    """Return a template's text about a state change; names it does not know stay as they are."""
    empty = dict.fromkeys(("reason", "seconds", "message"), "")
    values = {"name": event["arn"], "subject": event["kind"], **empty, **event, "time": _iso(event["time"])}
    return Template(template).safe_substitute({name: str(value) for name, value in values.items()})


def _post(subscription: Subscription, event: dict[str, Any], now: float) -> None:
    body = json.dumps(as_json(event)).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "nextpick", "X-Nextpick-Id": event["id"]}
    if subscription.secret:
        headers["X-Nextpick-Signature"] = signature(subscription.secret, body, int(now))
    request = urllib.request.Request(subscription.webhook or "", body, headers, method="POST")
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(request, timeout=_TIMEOUT_S):
        pass  # any 2xx


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would be followed with GET, and without what was to be told."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        return None


def _mail(subscription: Subscription, event: dict[str, Any], settings: Settings) -> None:
    if not settings.smtp_url:
        raise Undelivered("NEXTPICK_SMTP_URL names no mail server")
    message = EmailMessage()
    message["From"], message["To"] = settings.mail_from, ", ".join(subscription.email or ())
    message["Subject"] = " ".join(rendered(subscription.subject, event).split())
    message["Message-ID"] = f"<{event['id']}.{subscription.name}@nextpick>"
    message.set_content(rendered(subscription.body, event))
    url = urlsplit(settings.smtp_url)
    host = url.hostname or "localhost"
    context = ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, url.port or 465, timeout=_TIMEOUT_S, context=context)
    else:
        server = smtplib.SMTP(host, url.port or 25, timeout=_TIMEOUT_S)
    with server:
        server.ehlo()
        if url.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(message)


def _run(command: list[str], event: dict[str, Any]) -> None:
    told = json.dumps(as_json(event)).encode()
    done = subprocess.run(command, input=told, capture_output=True, timeout=_COMMAND_TIMEOUT_S, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-500:]
        raise Undelivered(f"the command ended with {done.returncode}: {said}")


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
