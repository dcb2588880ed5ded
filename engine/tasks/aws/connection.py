"""Amazon's services: who we are to them, and what their refusals mean. What all tasks of `aws` share."""

from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from traceback import walk_tb
from typing import Any, ClassVar, TypeVar

from pydantic import Field

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks.address_guard import check_address
from engine.tasks.extras import extra
from engine.tasks.property_types import OptionalText
from engine.tasks.threads import in_own_thread, while_alive

R = TypeVar("R")


class Credentials(Part):
    """Credentials (else those of the environment), region and a role to take on."""

    access_key_id: Property[OptionalText] = None
    secret_key_id: Property[OptionalText] = None
    session_token: Property[OptionalText] = None
    region: Property[OptionalText] = None
    endpoint_override: Property[OptionalText] = None
    sts_role_arn: Property[OptionalText] = None
    sts_role_session_name: Property[OptionalText] = None
    sts_role_external_id: Property[OptionalText] = None
    sts_role_session_duration: Property[timedelta] = timedelta(minutes=15)
    sts_endpoint_override: Property[OptionalText] = None
    compatibility_mode: Any = Field(default=None, description="Of no effect: every store that speaks S3 is served.")
    force_path_style: Property[bool] = Field(default=False, description="Of S3: the bucket in the path, not the host.")

    def hide(self, context: RunContext) -> None:
        """Keep what is secret out of logs and cards."""
        for secret in (self.secret_key_id, self.session_token):
            if secret:
                context.mask(secret)


class AwsConnected(Credentials):
    """A task that calls Amazon's services."""

    owner: ClassVar[str] = "AWS"

    async def aws(self, context: RunContext, service: str, work: Callable[[Any], R]) -> R:
        """What `work` does with a client of a service, in a thread; TaskFailed when the service refuses. Nothing more
        is asked of it once the task is killed."""
        client = await self.client(context, service)
        try:
            with while_alive() as alive:
                client.meta.events.register("before-call", alive)
                return await asked(service, lambda: work(client), self.owner)
        finally:
            client.close()

    async def client(self, context: RunContext, service: str) -> Any:
        """A client of a service, to be closed; TaskFailed when it is not said who asks, or where."""
        made, endpoint = await self.session(context), self._endpoint(context)
        return await asked(service, lambda: self._client(made, service, endpoint), self.owner)

    async def session(self, context: RunContext) -> Any:
        """Credentials and region, with the role that was taken on; TaskFailed when there are none."""
        boto3, endpoint = extra("boto3", "aws"), self._endpoint(context)
        self.hide(context)
        for address in (endpoint, self.sts_endpoint_override):
            if address:
                await check_address(address, context.settings)
        name = f"parley-{context.task_run_id}"[:64]
        return await asked("sts", lambda: self._session(boto3, endpoint, name), self.owner)

    def _endpoint(self, context: RunContext) -> str | None:
        return self.endpoint_override or context.settings.provider("aws").base_url

    def _session(self, boto3: Any, endpoint: str | None, session: str) -> Any:
        keys = {
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_key_id,
            "aws_session_token": self.session_token,
        }
        region = self.region or ("us-east-1" if endpoint else None)
        made = boto3.session.Session(**keys, region_name=region)
        if self.sts_role_arn:
            sts = made.client("sts", endpoint_url=self.sts_endpoint_override or endpoint)
            asked = {
                "RoleArn": self.sts_role_arn,
                "RoleSessionName": self.sts_role_session_name or session,
                "DurationSeconds": int(self.sts_role_session_duration.total_seconds()),
            }
            external = {"ExternalId": self.sts_role_external_id} if self.sts_role_external_id else {}
            lent = sts.assume_role(**asked, **external)["Credentials"]
            sts.close()
            made = boto3.session.Session(
                lent["AccessKeyId"], lent["SecretAccessKey"], lent["SessionToken"], region_name=region
            )
        return made

    def _client(self, made: Any, service: str, endpoint: str | None) -> Any:
        return made.client(service, endpoint_url=endpoint, config=self._config(), verify=self._trusted())

    def _config(self) -> Any:
        """How the client behaves."""
        config = extra("botocore.config", "aws").Config
        style = {"addressing_style": "path"} if self.force_path_style else None
        return config(retries={"max_attempts": 3, "mode": "standard"}, connect_timeout=10, s3=style)

    def _trusted(self) -> bool | str | None:
        """Whose certificates are good: a file's, anybody's, or those of the machine (None)."""
        return None


def in_parts(
    rows: list[dict[str, Any]], most: int, put: Callable[[Any, list[dict[str, Any]]], Any]
) -> Callable[[Any], list[dict[str, Any]]]:
    """What a client is to do with many rows: `put` them, so many at once; it gives what the service says of each."""
    return lambda client: [one for at in range(0, len(rows), most) for one in put(client, rows[at : at + most])]


def refusal(failed: list[dict[str, Any]], count: int, what: str) -> TaskFailed:
    """That of so many rows some were refused, by what the service says of those."""
    said = f"{failed[0]['ErrorCode']}: {failed[0].get('ErrorMessage')}"
    return TaskFailed(f"{len(failed)} of {count} {what} were refused: {said}.")


async def asked(service: str, work: Callable[[], R], owner: str = "AWS") -> R:
    """What a call gives, in a thread; TaskFailed when the service refuses."""

    def run() -> R:
        with explained(service, owner):
            return work()

    return await in_own_thread(run)


@contextmanager
def explained(service: str, owner: str = "AWS") -> Any:
    """TaskFailed for everything a client raises, with what the service said."""
    errors, parsers = extra("botocore.exceptions", "aws"), extra("botocore.parsers", "aws")
    try:
        yield
    except errors.ClientError as error:
        raise _refusal(error, service, owner) from error
    except errors.NoCredentialsError as error:
        raise TaskFailed(
            f"{owner} wants to know who asks.",
            fix="Give `accessKeyId` and `secretKeyId`, or credentials in the environment.",
        ) from error
    except errors.NoRegionError as error:
        raise TaskFailed(f"It is not said which region of {owner}.", fix="Give `region`.") from error
    except errors.ParamValidationError as error:
        raise TaskFailed(f"{owner} {service} does not take this: {' '.join(str(error).split())[:500]}") from error
    except (errors.BotoCoreError, ValueError) as error:
        raise TaskFailed(
            f"{owner} {service} could not be reached: {error}.", fix="Check `region` and the network."
        ) from error
    except extra("boto3.exceptions", "aws").Boto3Error as error:  # what moves files tells refusals as its own
        if isinstance(refused := error.__context__, errors.ClientError):
            raise _refusal(refused, service, owner) from error
        raise TaskFailed(f"{owner} {service} broke off: {error}.", fix="Check the network.") from error
    except (parsers.ResponseParserError, AttributeError, LookupError, TypeError) as error:
        if not _is_of_botocore(error):
            raise
        raise TaskFailed(
            f"{owner} {service} answered with something that is no answer of its own.",
            fix="Check the endpoint: another service may hear there.",
        ) from error


def _refusal(error: Any, service: str, owner: str) -> TaskFailed:
    """What a service says when it refuses."""
    said = error.response.get("Error", {})
    code = str(said.get("Code", ""))
    return TaskFailed(
        f"{owner} {service} refused {error.operation_name}: {code}: {said.get('Message', '')}", fix=HINTS.get(code, "")
    )


def _is_of_botocore(error: Exception) -> bool:
    """Whether the client itself broke: its parsers take it for granted that an answer has the form of its service."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__")).startswith("botocore.")


HINTS = {
    "AccessDenied": "Check what the credentials may do.",
    "InvalidAccessKeyId": "Check `accessKeyId`.",
    "SignatureDoesNotMatch": "Check `secretKeyId`.",
    "NoSuchBucket": "Check `bucket`.",
    "NoSuchKey": "Check `key`.",
    "404": "Check `bucket` and `key`.",
    "403": "Check what the credentials may do.",
    "ExpiredToken": "The session has ended: get a new token.",
}
