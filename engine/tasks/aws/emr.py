"""`io.kestra.plugin.aws.emr`: clusters for Spark and Hadoop."""

from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.aws.connection import AwsConnected, asked
from engine.tasks.property_types import OptionalText, Text, TextList

Action = Literal["TERMINATE_CLUSTER", "CANCEL_AND_WAIT", "CONTINUE", "TERMINATE_JOB_FLOW"]
AT_REST = frozenset({"TERMINATED", "TERMINATED_WITH_ERRORS", "WAITING"})


class Step(Part):
    """A program to run."""

    name: Property[Text]
    jar: Property[Text]
    main_class: Property[OptionalText] = None
    commands: Property[TextList | None] = None
    action_on_failure: Property[Action]

    def written(self) -> dict[str, Any]:
        """The step as Amazon writes it; a command's words are arguments of their own."""
        words = [word for line in self.commands or () for word in line.split()]
        how: dict[str, Any] = {"Jar": self.jar, "Args": words}
        if self.main_class:
            how["MainClass"] = self.main_class
        return {"Name": self.name, "ActionOnFailure": self.action_on_failure, "HadoopJarStep": how}


class Cluster(Outputs):
    """The cluster."""

    jobFlowId: str  # noqa: N815 - appears as written


class CreateClusterAndSubmitSteps(AwsConnected, RunnableTask):
    """Start a cluster that runs steps, and wait for its rest if asked to; one that is waited for is terminated when the
    task is killed."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: cluster
type: io.kestra.plugin.aws.emr.CreateClusterAndSubmitSteps
region: eu-west-3
clusterName: nightly
logUri: s3://company-logs/emr
applications: [Spark]
masterInstanceType: m5.xlarge
slaveInstanceType: m5.xlarge
instanceCount: 3
steps:
  - name: count
    jar: command-runner.jar
    actionOnFailure: CONTINUE
    commands:
      - spark-submit s3://company-jobs/count.py
wait: true
""",
    )
    type: Literal["io.kestra.plugin.aws.emr.CreateClusterAndSubmitSteps", "io.kestra.plugin.aws.emr.CreateCluster"]
    cluster_name: Property[Text]
    release_label: Property[Text] = "emr-5.20.0"
    steps: tuple[Step, ...] = ()
    applications: Property[TextList | None] = None
    log_uri: Property[OptionalText] = None
    job_flow_role: Property[Text] = "EMR_EC2_DefaultRole"
    visible_to_all_users: Property[bool] = True
    service_role: Property[Text] = "EMR_DefaultRole"
    master_instance_type: Property[Text]
    slave_instance_type: Property[Text]
    keep_job_flow_alive_when_no_steps: Property[bool] = False
    instance_count: Property[int]
    ec2_key_name: Property[OptionalText] = None
    ec2_subnet_id: Property[OptionalText] = None
    wait: Property[bool] = False
    completion_check_interval: Property[timedelta] = timedelta(seconds=10)
    wait_until_completion: Property[timedelta] = timedelta(hours=1)

    async def run(self, context: RunContext) -> Cluster:
        client = await self.client(context, "emr")
        try:
            made = await asked("emr", lambda: client.run_job_flow(**self._asked()))
            cluster = str(rest_service.held(made, "AWS emr", "JobFlowId"))
            context.log(f"The cluster {cluster} was created.")

            async def look() -> str | None:
                found = await asked("emr", lambda: client.describe_cluster(ClusterId=cluster))
                state = str(rest_service.held(found, "AWS emr", "Cluster", "Status", "State"))
                return state if state in AT_REST else None

            if self.wait:
                state = await rest_service.waited(
                    context, look,
                    every=self.completion_check_interval,
                    most=self.wait_until_completion,
                    what=f"The cluster {cluster}",
                    fix="Raise `waitUntilCompletion`.",
                    stop=lambda: asked("emr", lambda: client.terminate_job_flows(JobFlowIds=[cluster])),
                    outlasts=True,
                )  # fmt: skip
                if state == "TERMINATED_WITH_ERRORS":
                    raise TaskFailed(f"The cluster {cluster} ended with errors.", fix="Look at its steps and logs.")
        finally:
            client.close()
        return Cluster(jobFlowId=cluster)

    def _asked(self) -> dict[str, Any]:
        instances = {
            "MasterInstanceType": self.master_instance_type,
            "SlaveInstanceType": self.slave_instance_type,
            "InstanceCount": self.instance_count,
            "KeepJobFlowAliveWhenNoSteps": self.keep_job_flow_alive_when_no_steps,
            "Ec2KeyName": self.ec2_key_name,
            "Ec2SubnetId": self.ec2_subnet_id,
        }
        given = {
            "Name": self.cluster_name,
            "ReleaseLabel": self.release_label,
            "Applications": [{"Name": name} for name in self.applications or ()],
            "LogUri": self.log_uri,
            "ServiceRole": self.service_role,
            "JobFlowRole": self.job_flow_role,
            "VisibleToAllUsers": self.visible_to_all_users,
            "Steps": [step.written() for step in self.steps],
            "Instances": {name: value for name, value in instances.items() if value is not None},
        }
        return {name: value for name, value in given.items() if value is not None}


class SubmitSteps(AwsConnected, RunnableTask):
    """Add steps to a cluster that is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: count
type: io.kestra.plugin.aws.emr.SubmitSteps
region: eu-west-3
clusterId: j-2AXXXXXXGAPLF
steps:
  - name: count
    jar: command-runner.jar
    actionOnFailure: CONTINUE
    commands:
      - spark-submit s3://company-jobs/count.py
""",
    )
    type: Literal["io.kestra.plugin.aws.emr.SubmitSteps"]
    cluster_id: Property[Text]
    steps: tuple[Step, ...]
    execution_role_arn: Property[OptionalText] = None

    async def run(self, context: RunContext) -> None:
        role = {"ExecutionRoleArn": self.execution_role_arn} if self.execution_role_arn else {}
        steps = [step.written() for step in self.steps]
        await self.aws(
            context, "emr", lambda client: client.add_job_flow_steps(JobFlowId=self.cluster_id, Steps=steps, **role)
        )


class DeleteCluster(AwsConnected, RunnableTask):
    """Terminate clusters."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: end
type: io.kestra.plugin.aws.emr.DeleteCluster
region: eu-west-3
clusterIds: [j-2AXXXXXXGAPLF]
""",
    )
    type: Literal["io.kestra.plugin.aws.emr.DeleteCluster"]
    cluster_ids: Property[TextList]

    async def run(self, context: RunContext) -> None:
        await self.aws(context, "emr", lambda client: client.terminate_job_flows(JobFlowIds=self.cluster_ids))


class Application(Outputs):
    """The application."""

    applicationId: str  # noqa: N815 - appears as written


class CreateServerlessApplication(AwsConnected, RunnableTask):
    """Make an application of EMR Serverless, in which jobs run without a cluster."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: application
type: io.kestra.plugin.aws.emr.CreateServerlessApplication
region: eu-west-3
releaseLabel: emr-7.0.0
applicationType: SPARK
""",
    )
    type: Literal["io.kestra.plugin.aws.emr.CreateServerlessApplication"]
    release_label: Property[Text]
    application_type: Property[Text]

    async def run(self, context: RunContext) -> Application:
        asked_for = {"releaseLabel": self.release_label, "type": self.application_type}
        made = await self.aws(context, "emr-serverless", lambda client: client.create_application(**asked_for))
        return Application(applicationId=str(rest_service.held(made, "AWS emr-serverless", "applicationId")))


class JobFields(AwsConnected):
    """A job of an application: who it is, what it is called, and what runs."""

    execution_role_arn: Property[Text]
    job_name: Property[Text]
    entry_point: Property[Text]

    async def started(self, context: RunContext, application: str, driver: dict[str, Any]) -> str:
        """The id of a job that was begun; TaskFailed."""
        asked_for = {
            "applicationId": application,
            "executionRoleArn": self.execution_role_arn,
            "name": self.job_name,
            "jobDriver": driver,
        }
        made = await self.aws(context, "emr-serverless", lambda client: client.start_job_run(**asked_for))
        job = str(rest_service.held(made, "AWS emr-serverless", "jobRunId"))
        context.log(f"The job {job} was started.")
        return job


class Started(Outputs):
    """The job."""

    jobRunId: str  # noqa: N815


class StartServerlessJobRun(JobFields, RunnableTask):
    """Start a job for Spark in an application. It only begins: nobody waits for the end."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: job
type: io.kestra.plugin.aws.emr.StartServerlessJobRun
region: eu-west-3
applicationId: "{{ outputs.application.applicationId }}"
executionRoleArn: arn:aws:iam::123456789012:role/jobs
jobName: count
entryPoint: s3://company-jobs/count.py
""",
    )
    type: Literal["io.kestra.plugin.aws.emr.StartServerlessJobRun"]
    application_id: Property[Text]

    async def run(self, context: RunContext) -> Started:
        driver = {"sparkSubmit": {"entryPoint": self.entry_point}}
        return Started(jobRunId=await self.started(context, self.application_id, driver))


class Begun(Outputs):
    """The application and its job."""

    applicationId: str  # noqa: N815
    jobRunId: str  # noqa: N815


class CreateServerlessApplicationAndStartJob(JobFields, RunnableTask):
    """Make an application of EMR Serverless and start a job in it. It only begins: nobody waits for the end."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: job
type: io.kestra.plugin.aws.emr.CreateServerlessApplicationAndStartJob
region: eu-west-3
releaseLabel: emr-7.0.0
applicationType: SPARK
executionRoleArn: arn:aws:iam::123456789012:role/jobs
jobName: count
entryPoint: s3://company-jobs/count.py
""",
    )
    type: Literal["io.kestra.plugin.aws.emr.CreateServerlessApplicationAndStartJob"]
    release_label: Property[Text]
    application_type: Property[Text] = Field(description="`SPARK`, or `HIVE`: then `entryPoint` is its query.")

    async def run(self, context: RunContext) -> Begun:
        kind = self.application_type.upper()
        if kind not in ("SPARK", "HIVE"):
            raise TaskFailed(f"`applicationType` {self.application_type!r} is none.", fix="Use SPARK or HIVE.")
        asked_for = {"releaseLabel": self.release_label, "type": self.application_type}
        made = await self.aws(context, "emr-serverless", lambda client: client.create_application(**asked_for))
        application = str(rest_service.held(made, "AWS emr-serverless", "applicationId"))
        context.log(f"The application {application} was created.")
        hive, spark = {"hive": {"query": self.entry_point}}, {"sparkSubmit": {"entryPoint": self.entry_point}}
        job = await self.started(context, application, hive if kind == "HIVE" else spark)
        return Begun(applicationId=application, jobRunId=job)


class DeleteServerlessApplication(AwsConnected, RunnableTask):
    """Delete applications of EMR Serverless."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: end
type: io.kestra.plugin.aws.emr.DeleteServerlessApplication
region: eu-west-3
applicationIds: [00f123abc456xyz]
""",
    )
    type: Literal["io.kestra.plugin.aws.emr.DeleteServerlessApplication"]
    application_ids: Property[TextList]

    async def run(self, context: RunContext) -> None:
        def work(client: Any) -> None:
            for one in self.application_ids:
                client.delete_application(applicationId=one)

        await self.aws(context, "emr-serverless", work)
