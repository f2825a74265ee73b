"""What AWS's errors mean to an operator: refused for good, or worth another try; each with cause and next step.

Translates once, for every call of the AWS adapter. Codes that a caller expects and handles never come here.
"""

from __future__ import annotations

import re

from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from orchestrator.errors import CloudRefused, CloudUnavailable

THROTTLING_CODES = frozenset(
    {"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException", "RequestThrottled"}
    | {"EC2ThrottledException", "SlowDown", "BandwidthLimitExceeded"}
)
DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "UnauthorizedAccess"})
BAD_CREDENTIALS = frozenset(
    {"AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"}
    | {"IncompleteSignature", "MissingAuthenticationToken", "InvalidAccessKeyId", "NotAuthorized"}
)
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
BLOCKED_ACCOUNT = frozenset({"Blocked", "OptInRequired", "PendingVerification", "AccountDisabled"})
NOT_YET = frozenset(
    {"IncorrectInstanceState", "IncorrectState", "InvalidInstanceID", "VolumeInUse", "ResourceNotReady"}
)
"""The call was right, the thing is between two states."""

LOCAL_ERRORS = (BotoCoreError, ResponseParserError, ValueError)
"""What botocore raises on this side of the connection; ValueError for an endpoint that is no URL."""

_SERVICE_PREFIX = {"service-quotas": "servicequotas"}
_NO_CREDENTIALS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.ProfileNotFound,
    aws.TokenRetrievalError,
    aws.SSOError,
    aws.ConfigNotFound,
    aws.ConfigParseError,
)
_CREDENTIALS_STEP = (
    "Give credentials as for any AWS tool: cloud.profile in the fleet file, AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY; `aws sts get-caller-identity` shows whether they work."
)


class Unconfirmed(CloudUnavailable):
    """The call was sent and no clear answer came: whether it took effect is unknown, so look before repeating."""


class Throttled(CloudUnavailable):
    """AWS asked for fewer calls; nothing took effect."""


class BadCredentials(CloudRefused):
    """AWS does not accept the credentials; in a single region this can also mean that the region is not enabled."""


def error_code(error: ClientError) -> str:
    """Return AWS's own name of the error."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def error_text(error: ClientError) -> str:
    """Return AWS's own words, without the encoded blob that only AWS can read."""
    text = str(error.response.get("Error", {}).get("Message", ""))
    return text.split("Encoded authorization failure message", maxsplit=1)[0].strip()


def missing_permission(error: ClientError, service: str) -> str:
    """Name the IAM action that was denied: AWS's own word if it gives one, else the action of the call."""
    named = re.search(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)", error_text(error))
    return named[1] if named else f"{_SERVICE_PREFIX.get(service, service)}:{error.operation_name}"


def translate_client_error(error: ClientError, region: str, service: str) -> CloudRefused | CloudUnavailable:
    """Turn an answer of AWS into one of ours."""
    code, text = error_code(error), error_text(error)
    said = f"AWS refused {error.operation_name} in {region}: {code}: {text}"
    if code in THROTTLING_CODES:
        return Throttled(
            f"AWS throttles {error.operation_name} in {region} ({code}), also after several tries.",
            next_step="Wait and run the command again: it goes on where it stopped.",
        )
    if code in DENIED:
        return CloudRefused(
            f"The AWS credentials lack the permission {missing_permission(error, service)} in {region}: {text}",
            next_step="Add it to the controller's policy; docs/iam-policy.json lists all that is needed.",
        )
    if code in EXPIRED:
        return CloudRefused(
            f"The AWS credentials have expired, or this machine's clock is wrong ({code}, {region}): {text}",
            next_step="Renew the credentials (`aws sso login`, say) and run the command again.",
        )
    if code in BAD_CREDENTIALS:
        return BadCredentials(
            f"AWS does not accept the credentials in {region} ({code}): {text}", next_step=_CREDENTIALS_STEP
        )
    if code in BLOCKED_ACCOUNT:
        return CloudRefused(said, next_step="Ask AWS support to enable the account, or the region, for EC2.")
    if code in NOT_YET:
        return CloudUnavailable(said, next_step="The next look tries again.")
    if _status(error) >= 500:
        return Unconfirmed(
            f"AWS failed on {error.operation_name} in {region}: {code}: {text}", next_step="The next look tries again."
        )
    return CloudRefused(
        said, next_step="Correct what AWS names in the fleet file or in the account, and run the command again."
    )


def translate_local_error(error: Exception, region: str) -> CloudRefused | CloudUnavailable:
    """Turn an error on this side of the connection into one of ours."""
    if isinstance(error, _NO_CREDENTIALS):
        return CloudRefused(f"No usable AWS credentials: {error}", next_step=_CREDENTIALS_STEP)
    if isinstance(
        error, aws.EndpointConnectionError | aws.ConnectTimeoutError | aws.ProxyConnectionError | aws.SSLError
    ):
        return CloudUnavailable(
            f"The AWS API of {region} cannot be reached: {error}",
            next_step="Check the network, and the endpoint if one is set (AWS_ENDPOINT_URL or the profile).",
        )
    if isinstance(error, aws.HTTPClientError | ResponseParserError):
        return Unconfirmed(
            f"The AWS API of {region} did not answer to the end: {error}", next_step="The next look tries again."
        )
    return CloudRefused(
        f"The call to AWS in {region} could not be made: {error}",
        next_step="Check the AWS configuration of this machine (profile, endpoint, region names in the fleet file).",
    )


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
