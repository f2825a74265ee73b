"""Who gets through to the lab's AWS API, and what goes wrong on the way: credentials, regions, faults of calls.

A small WSGI layer before moto, for all its services alike; what it refuses never had an effect. It also answers the
quota service, of which moto knows next to nothing. What goes wrong with instances and volumes is in `ec2`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from .faults import BadCredentials, Denied, ErrorAfterEffect, FaultBoard, SlowCall, Throttled
from .signature import Signature, read_signature, why_not_signed

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

ELASTIC_ADDRESSES = "L-0263D0A3"
STANDARD_VCPUS = "L-1216C47A"


@dataclass(frozen=True, slots=True)
class Call:
    """What is known of a call before it is let through."""

    service: str
    region: str
    action: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a call that is not let through, in AWS's words."""

    status: str
    code: str
    message: str


_BAD_CREDENTIALS = Refusal(
    "401 Unauthorized", "AuthFailure", "AWS was not able to validate the provided access credentials"
)


class CloudGate:
    """The application that the lab's server runs, with moto behind it."""

    def __init__(
        self,
        cloud: Application,
        control: Application,
        faults: FaultBoard,
        secrets: Mapping[str, str],
        quotas: Mapping[str, Callable[[], Mapping[str, int]]],
        account_id: str,
    ) -> None:
        self._cloud, self._control, self._faults = cloud, control, faults
        self._secrets, self._quotas, self._account_id = secrets, quotas, account_id
        self._stopping = Event()

    def stop(self) -> None:
        """Let calls that are being slow end now."""
        self._stopping.set()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = str(environ.get("PATH_INFO", ""))
        if path.startswith("/lab-control/"):
            return self._control(environ, start_response)
        if path.startswith("/moto-api"):  # would reset or reseed the cloud under the supervisor
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"not here: see /lab-control/\n"]
        signature = read_signature(str(environ.get("HTTP_AUTHORIZATION", "")))
        body = b"" if signature and signature.service == "s3" else _read_body(environ)
        call = _describe_call(environ, signature, body)
        refusal = self._why_refused(call, environ, signature, body)
        if refusal:
            return _refuse(call, refusal, start_response)
        if slow := self._faults.take(SlowCall, region=call.region, action=call.action):
            self._stopping.wait(slow.seconds)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self._account_id
        if call.service == "servicequotas":
            return self._answer_quota(call, body, start_response)
        if self._faults.take(ErrorAfterEffect, region=call.region, action=call.action):
            return self._fail_afterwards(call, environ, start_response)
        return self._cloud(environ, start_response)

    def _why_refused(self, call: Call, environ: Environ, signature: Signature | None, body: bytes) -> Refusal | None:
        where = {"region": call.region}
        if signature is None or why_not_signed(signature, environ, body, self._secrets):
            return _BAD_CREDENTIALS
        if self._faults.take(BadCredentials, **where):
            return _BAD_CREDENTIALS
        if call.service == "ec2" and call.region not in self._quotas:
            # What AWS says of a region that the account has not opted in to.
            return _BAD_CREDENTIALS
        where["action"] = call.action
        if self._faults.take(Throttled, **where):
            return Refusal("503 Service Unavailable", "RequestLimitExceeded", "Request limit exceeded.")
        if self._faults.take(Denied, **where):
            code = "UnauthorizedOperation" if call.service == "ec2" else "AccessDenied"
            return Refusal("403 Forbidden", code, f"You are not authorized to perform this operation: {call.action}")
        return None

    def _fail_afterwards(self, call: Call, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Do what is asked, and answer that it failed: the answer that no client may take for 'nothing happened'."""
        b"".join(self._cloud(environ, lambda *_, **__: None))
        error = Refusal("500 Internal Server Error", "InternalError", "An internal error has occurred")
        return _refuse(call, error, start_response)

    def _answer_quota(self, call: Call, body: bytes, start_response: StartResponse) -> Iterable[bytes]:
        asked = json.loads(body or b"{}")
        values = self._quotas.get(call.region, dict)() if asked.get("ServiceCode") == "ec2" else {}
        quotas = [_describe_quota(code, value) for code, value in values.items()]
        if call.action == "ListServiceQuotas":
            return _answer_json({"Quotas": quotas}, "200 OK", start_response)
        found = next((quota for quota in quotas if quota["QuotaCode"] == asked.get("QuotaCode")), None)
        if call.action == "GetServiceQuota" and found:
            return _answer_json({"Quota": found}, "200 OK", start_response)
        missing = {"__type": "NoSuchResourceException", "Message": f"The lab has no quota {asked.get('QuotaCode')}"}
        return _answer_json(missing, "400 Bad Request", start_response)


def _read_body(environ: Environ) -> bytes:
    """Read the body and put it back for moto."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return bytes(body)


def _describe_call(environ: Environ, signature: Signature | None, body: bytes) -> Call:
    """Find service, region and action: from the signature's scope, and the form or the target header."""
    service, region = (signature.service, signature.region) if signature else ("unknown", "unknown")
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    if target:
        return Call(service, region, target.rpartition(".")[2])
    if str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded"):
        action = parse_qs(body.decode(errors="replace")).get("Action", ["unknown"])[0]
        return Call(service, region, action)
    method, path = str(environ.get("REQUEST_METHOD")), str(environ.get("PATH_INFO"))
    if service == "route53" and path.rstrip("/").endswith("/rrset"):
        return Call(service, region, "ChangeResourceRecordSets" if method == "POST" else "ListResourceRecordSets")
    return Call(service, region, f"{method} {path}")


def _refuse(call: Call, refusal: Refusal, start_response: StartResponse) -> Iterable[bytes]:
    """Write an error as the service's protocol has it: EC2's XML, the other XML, or JSON."""
    if call.service in ("servicequotas", "ssm", "dynamodb"):
        return _answer_json({"__type": refusal.code, "message": refusal.message}, refusal.status, start_response)
    error = f"<Error><Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message></Error>"
    document = (
        f"<Response><Errors>{error}</Errors><RequestID>lab</RequestID></Response>"
        if call.service == "ec2"
        else f"<ErrorResponse>{error}<RequestId>lab</RequestId></ErrorResponse>"
    )
    start_response(refusal.status, [("Content-Type", "text/xml;charset=UTF-8")])
    return [document.encode()]


def _answer_json(document: Mapping[str, Any], status: str, start_response: StartResponse) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/x-amz-json-1.1")])
    return [json.dumps(document).encode()]


def _describe_quota(code: str, value: int) -> dict[str, Any]:
    names = {
        ELASTIC_ADDRESSES: "EC2-VPC Elastic IPs",
        STANDARD_VCPUS: "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
    }
    return {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaCode": code,
        "QuotaName": names[code],
        "Value": float(value),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
