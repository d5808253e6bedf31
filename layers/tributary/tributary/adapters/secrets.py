"""The parameter store: SecureStrings below the stack's prefix."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from tributary.errors import CredentialMissing, StoreUnavailable
from tributary.identity.digests import DIGEST_KEY_NAME, Digests

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

_KEPT_SECONDS: Final = 30.0
"""As long as every other setting: Kissmetrics never says that a key is wrong, so a new one must not wait for a refusal of the old."""


class SsmSecrets:
    """`Secrets` on SSM, each kept thirty seconds in this sandbox."""

    def __init__(self, client: Callable[[], SSMClient], prefix: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._prefix = prefix
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, str]] = {}

    def get(self, name: str, *, fresh: bool = False) -> str:
        now = self._monotonic()
        kept = self._kept.get(name)
        if kept is not None and not fresh and now - kept[0] < _KEPT_SECONDS:
            return kept[1]
        try:
            value = self._client().get_parameter(Name=f"{self._prefix}/{name}", WithDecryption=True)["Parameter"]["Value"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ParameterNotFound":
                raise CredentialMissing(f"no secret is stored as {name}") from error
            raise StoreUnavailable(f"the parameter store refused {name}: {error.response['Error']['Code']}") from error
        except BotoCoreError as error:
            raise StoreUnavailable(f"the parameter store did not answer: {type(error).__name__}") from error
        self._kept[name] = (now, value)
        return value


def digests_from(secrets: SsmSecrets) -> Digests:
    """The stack's keyed digests. The key is base64 text of 32 random bytes, made once by `tributary.cli init`."""
    return Digests(digest_key(secrets))


def digest_key(secrets: SsmSecrets) -> bytes:
    return base64.b64decode(secrets.get(DIGEST_KEY_NAME))
