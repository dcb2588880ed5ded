"""`io.kestra.plugin.aws.auth`: who we are to clusters of Kubernetes at Amazon."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.aws.connection import AwsConnected
from engine.tasks.extras import extra
from engine.tasks.property_types import Text


class Signed(Outputs):
    """`tokenValue` for the cluster, and its `expirationTime`."""

    token: dict[str, Any]


class EksToken(AwsConnected, RunnableTask):
    """Make the token with which kubectl signs in to a cluster."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: token
type: io.kestra.plugin.aws.auth.EksToken
region: eu-central-1
clusterName: shop
""",
    )
    type: Literal["io.kestra.plugin.aws.auth.EksToken"]
    cluster_name: Property[Text]
    expiration_duration: Property[int] = 600

    async def run(self, context: RunContext) -> Signed:
        if not self.region:
            raise TaskFailed("It is not said which region of AWS.", fix="Give `region`.")
        boto3, session = extra("boto3", "aws"), await self.session(context)
        credentials = session.get_credentials()
        if credentials is None:
            fix = "Give `accessKeyId` and `secretKeyId`, or credentials in the environment."
            raise TaskFailed("AWS wants to know who asks.", fix=fix)
        until = datetime.now(UTC) + timedelta(seconds=self.expiration_duration)
        signers, models = extra("botocore.signers", "aws"), extra("botocore.model", "aws")
        emitter = boto3.session.Session().events
        signer = signers.RequestSigner(models.ServiceId("STS"), self.region, "sts", "v4", credentials, emitter)
        asked = {
            "method": "GET",
            "url": f"https://sts.{self.region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
            "body": {},
            "headers": {"x-k8s-aws-id": self.cluster_name},
            "context": {},
        }
        url = signer.generate_presigned_url(
            asked, operation_name="", region_name=self.region, expires_in=self.expiration_duration
        )
        token = "k8s-aws-v1." + urlsafe_b64encode(url.encode()).decode().rstrip("=")
        context.mask(token)
        return Signed(token={"tokenValue": token, "expirationTime": until.isoformat()})
