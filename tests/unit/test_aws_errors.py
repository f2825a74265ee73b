"""AWS's errors in our words: what is refused for good, what is worth another try, and what to do."""

from __future__ import annotations

import pytest
from botocore import exceptions as aws
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from orchestrator.adapters.aws_errors import (
    BadCredentials,
    Throttled,
    Unconfirmed,
    translate_client_error,
    translate_local_error,
)
from orchestrator.errors import CloudRefused, CloudUnavailable


def answer(code: str, message: str = "said so", status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "RunInstances")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "status", "kind", "words"),
    [
        ("UnauthorizedOperation", 403, CloudRefused, "permission ec2:RunInstances in eu-central-1"),
        ("AuthFailure", 401, BadCredentials, "does not accept the credentials"),
        ("InvalidClientTokenId", 403, BadCredentials, "aws sts get-caller-identity"),
        ("ExpiredToken", 400, CloudRefused, "have expired"),
        ("RequestExpired", 400, CloudRefused, "clock is wrong"),
        ("OptInRequired", 401, CloudRefused, "AWS support"),
        ("RequestLimitExceeded", 503, Throttled, "throttles RunInstances"),
        ("InternalError", 500, Unconfirmed, "InternalError"),
        ("Unavailable", 503, Unconfirmed, "Unavailable"),
        ("IncorrectState", 400, CloudUnavailable, "next look"),
        ("InvalidParameterValue", 400, CloudRefused, "InvalidParameterValue: said so"),
    ],
)
def test_each_answer_has_a_kind_a_cause_and_a_next_step(
    code: str, status: int, kind: type[Exception], words: str
) -> None:
    error = translate_client_error(answer(code, status=status), "eu-central-1", "ec2")
    assert type(error) is kind
    assert words in str(error)
    assert error.next_step


def test_the_permission_that_aws_names_wins_over_the_calls_own() -> None:
    message = (
        "You are not authorized to perform this operation. User: arn:aws:iam::1:user/x is not authorized to perform: "
        "ec2:CreateTags on resource: arn:aws:ec2:eu-central-1:1:instance/*. Encoded authorization failure message: AbC"
    )
    error = translate_client_error(answer("UnauthorizedOperation", message, 403), "eu-central-1", "ec2")
    assert "lack the permission ec2:CreateTags" in error.message
    assert "AbC" not in error.message


def test_the_quota_services_permissions_have_their_own_prefix() -> None:
    error = translate_client_error(answer("AccessDeniedException", status=400), "eu-central-1", "service-quotas")
    assert "servicequotas:RunInstances" in error.message


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (aws.NoCredentialsError(), CloudRefused, "No usable AWS credentials"),
        (aws.PartialCredentialsError(provider="env", cred_var="secret"), CloudRefused, "No usable AWS credentials"),
        (aws.ProfileNotFound(profile="work"), CloudRefused, "work"),
        (aws.UnauthorizedSSOTokenError(), CloudRefused, "No usable AWS credentials"),
        (aws.EndpointConnectionError(endpoint_url="http://x"), CloudUnavailable, "AWS_ENDPOINT_URL"),
        (aws.ConnectTimeoutError(endpoint_url="http://x"), CloudUnavailable, "cannot be reached"),
        (aws.ReadTimeoutError(endpoint_url="http://x"), Unconfirmed, "did not answer to the end"),
        (aws.ConnectionClosedError(endpoint_url="http://x"), Unconfirmed, "did not answer to the end"),
        (ResponseParserError("no XML"), Unconfirmed, "did not answer to the end"),
        (ValueError("Invalid endpoint: nonsense"), CloudRefused, "Invalid endpoint: nonsense"),
    ],
)
def test_each_local_error_has_a_kind_a_cause_and_a_next_step(
    error: Exception, kind: type[Exception], words: str
) -> None:
    translated = translate_local_error(error, "eu-central-1")
    assert type(translated) is kind
    assert words in str(translated)
    assert translated.next_step
