"""dbt, Terraform, Ansible and the clouds' own tools: how they are called, and what comes of what they leave behind."""

import pytest

from engine.errors import TaskFailed
from tests.tasks.test_docker import contained
from tests.wire.command_line import tools
from tests.wire.docker_engine import GIT_IMAGE, docker_engine

__all__ = ["contained", "docker_engine", "tools"]

PLUGIN = "io.kestra.plugin"
PROCESS = {"type": "io.kestra.plugin.core.runner.Process"}
MANIFEST = {"metadata": {"dbt_version": "1.9.0"}, "nodes": {}}
GOOD = {"unique_id": "model.shop.orders", "status": "success", "message": "OK", "execution_time": 1.5}
BAD = {"unique_id": "test.shop.unique", "status": "fail", "message": "Got 2 results", "execution_time": 0.5}


@pytest.mark.parametrize(
    ("kind", "program"),
    [
        ("terraform.cli.TerraformCLI", "terraform"),
        ("opentofu.cli.OpenTofuCLI", "tofu"),
        ("ansible.cli.AnsibleCLI", "ansible-playbook"),
        ("aws.cli.AwsCLI", "aws"),
        ("gcp.cli.GCloudCLI", "gcloud"),
        ("azure.cli.AzCLI", "az"),
        ("cloudquery.CloudQueryCLI", "cloudquery"),
        ("dbt.cli.DbtCLI", "dbt"),
        ("dataform.cli.DataformCLI", "dataform"),
        ("modal.cli.ModalCLI", "modal"),
        ("sqlmesh.cli.SQLMeshCLI", "sqlmesh"),
        ("malloy.CLI", "malloy-cli"),
        ("spark.SparkCLI", "spark-submit"),
    ],
)
async def test_every_tool(make_context, tools, kind, program):
    tools.install(program, body='echo "::{\\"outputs\\":{\\"said\\":\\"$X\\"}}::"; echo made > made.txt')
    context = make_context(inputs={"x": 'a\'b "c"'})
    found = await context.run(
        type=f"{PLUGIN}.{kind}",
        taskRunner=PROCESS,
        beforeCommands=[f"{program} init"],
        commands=[f'{program} go --name "{{{{ inputs.x }}}}"'],
        env={"X": "5"},
        inputFiles={"given.txt": "given"},
        outputFiles=["*.txt"],
    )
    assert tools.calls == [[program, "init"], [program, "go", "--name", 'a\'b "c"']]
    assert (found.vars, found.exitCode) == ({"said": "5"}, 0)
    assert sorted(found.outputFiles) == ["given.txt", "made.txt"]


async def test_spark_gets_a_job_with_its_files(make_context, tools):
    tools.install(
        "spark-submit", body='for one; do case "$one" in *.py|*.R|*.jar) echo "said $(cat "$one")";; esac; done'
    )
    context = make_context(inputs={"n": "it's"})
    uri = await context.files.put(b"a jar", "a.jar")
    given = {"taskRunner": PROCESS, "master": "spark://x:7077", "args": ["10", "a b"]}
    files = {"appFiles": {"a.txt": "A"}, "configurations": {"spark.cores.max": 2}, "name": "my job", "verbose": True}
    script = "print('{{ inputs.n }}')"
    python = {"type": f"{PLUGIN}.spark.PythonSubmit", "mainScript": script, "pythonFiles": {"lib/b.py": "b = 1"}}
    await context.run(**python, **given, **files)
    folder = context.working_dir
    assert tools.calls.pop() == [
        "spark-submit", "--master", "spark://x:7077", "--deploy-mode", "client", "--name", "my job",
        "--files", f"{folder}/a.txt", "--py-files", f"{folder}/lib/b.py", "--conf", "spark.cores.max=2", "--verbose",
        str(next((folder / ".parley").glob("main-*.py"), "")), "10", "a b",
    ]  # fmt: skip
    assert context.said("said print\\('it's'\\)")
    await context.run(type=f"{PLUGIN}.spark.RSubmit", mainScript="print(1)", **given, deployMode="CLUSTER")
    assert tools.calls[-1][3:5] == ["--deploy-mode", "cluster"]
    assert context.said("said print\\(1\\)")
    jar = {"type": f"{PLUGIN}.spark.JarSubmit", "mainResource": uri, "mainClass": "com.x.App", "jars": {"b.jar": uri}}
    await context.run(**jar, **given)
    assert tools.calls[-1][5:] == [
        "--class",
        "com.x.App",
        "--jars",
        f"{folder}/b.jar",
        f"{folder}/app.jar",
        "10",
        "a b",
    ]
    assert context.said("said a jar")


async def test_a_tool_in_a_container(contained):
    found = await contained().run(
        type=f"{PLUGIN}.terraform.cli.TerraformCLI",
        containerImage=GIT_IMAGE,
        beforeCommands=['terraform() { echo "$@" > said.txt; }'],
        commands=["terraform apply -auto-approve"],
        outputFiles=["said.txt"],
    )
    assert found.exitCode == 0
    assert list(found.outputFiles) == ["said.txt"]
    assert len(found.taskRunner["containerId"]) == 64


async def test_ansible_reads_its_configuration_and_keeps_its_log(context, tools):
    tools.install("ansible-playbook", body='echo done > "$ANSIBLE_LOG_PATH"')
    uri = await context.files.put(b"[defaults]\nforks=1\n", "ansible.cfg")
    found = await context.run(
        type=f"{PLUGIN}.ansible.cli.AnsibleCLI",
        taskRunner=PROCESS,
        commands=["ansible-playbook play.yml"],
        ansibleConfig=uri,
        outputLogFile=True,
    )
    assert context.files.text(found.outputFiles["log"]) == "done\n"
    assert (context.working_dir / "ansible.cfg").read_text() == "[defaults]\nforks=1\n"
    assert tools.env["ANSIBLE_CONFIG"] == str(context.working_dir / "ansible.cfg")


async def test_aws_gets_its_credentials_and_takes_on_roles(context, tools):
    tools.install("aws", body='[ "$1" = sts ] && printf "ROLEKEY\\tROLESECRET\\tROLETOKEN\\n" || true')
    await context.run(
        type=f"{PLUGIN}.aws.cli.AwsCLI",
        taskRunner=PROCESS,
        accessKeyId="AKIA",
        secretKeyId="s3cret",
        region="eu-central-1",
        stsRoleArn="arn:aws:iam::1:role/x y",
        stsRoleExternalId="ext",
        stsRoleSessionDuration="PT20M",
        commands=["aws s3 ls"],
    )
    assume, listing = tools.calls
    assert assume[:8] == ["aws", "sts", "assume-role", "--role-arn", "arn:aws:iam::1:role/x y", *assume[5:8]]
    assert "ext" in assume
    assert assume[assume.index("--duration-seconds") + 1] == "1200"
    assert listing == ["aws", "s3", "ls"]
    assert tools.env["AWS_ACCESS_KEY_ID"] == "ROLEKEY"
    assert (tools.env["AWS_SESSION_TOKEN"], tools.env["AWS_DEFAULT_REGION"]) == ("ROLETOKEN", "eu-central-1")
    assert "s3cret" in context.masked


@pytest.mark.parametrize(
    ("source", "seen"),
    [("ENVIRONMENT", "AKIA/here"), ("ECS_CONTAINER", "/here"), ("EC2_INSTANCE_METADATA", "/")],
)
async def test_whose_credentials_take_on_the_role(context, tools, source, seen):
    told = 'echo "$AWS_ACCESS_KEY_ID/$AWS_CONTAINER_CREDENTIALS_FULL_URI" > asked.txt'
    tools.install("aws", body=f'[ "$1" = sts ] && {told} && printf "ROLEKEY\\tSECRET\\tTOKEN\\n" || true')
    await context.run(
        type=f"{PLUGIN}.aws.cli.AwsCLI",
        taskRunner=PROCESS,
        accessKeyId="AKIA",
        secretKeyId="s3cret",
        env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "here"},
        stsRoleArn="arn:aws:iam::1:role/x",
        stsCredentialSource=source,
        commands=["aws s3 ls"],
    )
    assert (context.working_dir / "asked.txt").read_text().strip() == seen
    assert tools.env["AWS_ACCESS_KEY_ID"] == "ROLEKEY"


async def test_the_other_clouds_get_their_credentials(context, tools):
    tools.install("gcloud", "az")
    key = '{"type": "service_account"}'
    await context.run(
        type=f"{PLUGIN}.gcp.cli.GCloudCLI",
        taskRunner=PROCESS,
        serviceAccount=key,
        projectId="p",
        commands=["gcloud x", 'cat "$GOOGLE_APPLICATION_CREDENTIALS" > key.json'],
    )
    assert (context.working_dir / "key.json").read_text() == key
    assert tools.env["CLOUDSDK_CORE_PROJECT"] == "p"
    await context.run(
        type=f"{PLUGIN}.azure.cli.AzCLI",
        taskRunner=PROCESS,
        username="app",
        password="p'w $x",
        tenant="t",
        servicePrincipal=True,
        commands=["az group list"],
    )
    login, listing = tools.calls[1:]
    options = ["-u", "app", "-p", "p'w $x", "--tenant", "t", "--service-principal"]
    assert (login, listing) == (["az", "login", "--output", "none", *options], ["az", "group", "list"])
    assert {"p'w $x", key} <= context.masked


async def test_cloudquery_gets_its_configurations(context):
    context.working_dir.joinpath("app").mkdir()
    stored = await context.files.put(b"kind: destination\n", "d.yml")
    declared = {"kind": "source", "spec": {"tables": ["*"]}}
    with pytest.raises(TaskFailed, match="exit code 127"):  # there is no /app/cloudquery on this machine
        await context.run(type=f"{PLUGIN}.cloudquery.Sync", taskRunner=PROCESS, configs=[declared, stored])
    written = (context.working_dir / "config.yml").read_text()
    assert written == "kind: source\nspec:\n  tables:\n  - '*'\n\n---\nkind: destination\n"
    with pytest.raises(TaskFailed, match="cannot be read"):
        await context.run(type=f"{PLUGIN}.cloudquery.Sync", taskRunner=PROCESS, configs=["kestra:///9/none.yml"])


async def test_a_pipeline_of_beam(context, tools):
    tools.install("python3", body='mkdir -p .beam/bin; cp "$0" .beam/bin/python; echo "$@" >> calls.txt')
    pipeline = {"type": f"{PLUGIN}.beam.RunPipeline", "taskRunner": PROCESS, "sdk": "PYTHON"}
    text = "pipeline:\n  type: chain\n"
    done = await context.run(
        **pipeline,
        definition=text,
        runner="FLINK",
        options={"parallelism": "4"},
        runnerConfig={"flinkRestUrl": "http://f:8081", "jarPath": "x"},
        requirements=["numpy<3"],
    )
    assert (done.state, done.runner, done.sdk) == ("FINISHED", "FLINK", "PYTHON")
    assert (context.working_dir / "pipeline.yaml").read_text() == text
    calls = (context.working_dir / "calls.txt").read_text().splitlines()
    assert calls[-2:] == [
        "-m pip install --quiet apache-beam[yaml] numpy<3",
        "-m apache_beam.yaml.main --yaml_pipeline_file=pipeline.yaml --runner=FlinkRunner"
        " --flink_master=http://f:8081 --parallelism=4",
    ]
    assert context.said("`runnerConfig.jarPath` has no effect", "WARN")
    uri = await context.files.put(text.encode(), "p.yaml")
    await context.run(**{**pipeline, "sdk": "JAVA"}, file=uri)
    assert context.said("there is no Java here", "WARN")
    with pytest.raises(TaskFailed, match="Either `definition` or `file`"):
        await context.run(**pipeline)
    with pytest.raises(TaskFailed, match=r"no file 'gone\.yaml'"):
        await context.run(**pipeline, file="gone.yaml")


async def test_a_portable_pipeline_of_beam(context, tools):
    """As plugin-beam names its properties today: `beamRunner`, and a server of jobs that is there already."""
    tools.install("python3", body='mkdir -p .beam/bin; cp "$0" .beam/bin/python; echo "$@" >> calls.txt')
    tools.install("timeout", body='echo "$1" >> seconds.txt; shift; exec "$@"')
    done = await context.run(
        type=f"{PLUGIN}.beam.RunPipeline",
        taskRunner=PROCESS,
        beamRunner="FLINK",
        definition="pipeline: {}\n",
        options={"job_endpoint": "localhost:8099", "environment_type": "DOCKER"},
        pipelineTimeoutSeconds=60,
        outputFiles=["calls.txt"],
    )
    assert (done.runner, done.sdk, done.vars, done.exitCode) == ("FLINK", "PYTHON", {"state": "FINISHED"}, 0)
    assert list(done.outputFiles) == ["calls.txt"]
    assert not context.said("there is no Java here", "WARN")
    calls = (context.working_dir / "calls.txt").read_text().splitlines()
    assert calls[0] == "-m venv --system-site-packages .beam"
    assert calls[-1] == (
        "-m apache_beam.yaml.main --yaml_pipeline_file=pipeline.yaml --runner=PortableRunner"
        " --job_endpoint=localhost:8099 --environment_type=DOCKER"
    )
    assert (context.working_dir / "seconds.txt").read_text() == "60\n"


async def test_services_of_a_compose_file(make_context, tools):
    tools.install("docker", body='cat "$3"')
    context = make_context({"docker": {"host": "unix:///run/other.sock"}})
    folder, text = context.working_dir, "services:\n  web:\n    image: nginx:alpine\n"
    compose = {"type": f"{PLUGIN}.docker.cli.Compose", "composeFile": text}
    assert (await context.run(**compose, projectName="shop", services=["web"])).exitCode == 0
    (call,) = tools.calls
    assert call[:3] == ["docker", "compose", "-f"]
    assert call[4:] == ["--project-directory", str(folder), "-p", "shop", "up", "-d", "web"]
    assert tools.env["DOCKER_HOST"] == "unix:///run/other.sock"
    assert context.said("image: nginx:alpine")
    stored = await context.files.put(text.encode(), "compose.yaml")
    down = {**compose, "command": "DOWN", "inputFiles": {"deploy/compose.yaml": "services: {}"}}
    for given, shown in (("deploy/compose.yaml", r"services: \{\}"), (stored, "image: nginx")):
        context.lines.clear()
        await context.run(**{**down, "composeFile": given})
        assert tools.calls[-1][-1] == "down"
        assert context.said(shown)
    await context.run(**compose, detach=False)
    assert tools.calls[-1][-1] == "up"


async def test_what_compose_is_asked_for_in_its_own_words(make_context, tools):
    tools.install("docker", body='cat "$3" "$5"')
    context = make_context()
    task = {"type": f"{PLUGIN}.docker.cli.Compose", "composeArgs": ["run", "--rm", "a test"]}
    stored = await context.files.put(b"services: {first: {}}", "compose.yaml")
    await context.run(**task, composeFiles=[stored, "services:\n  second: {}\n"])
    (call,) = tools.calls
    assert call[:2] + call[2:6:2] == ["docker", "compose", "-f", "-f"]
    assert call[6:] == ["--project-directory", str(context.working_dir), "run", "--rm", "a test"]
    assert context.said("first")
    assert context.said("second")
    with pytest.raises(TaskFailed, match="names no compose file"):
        await context.run(**task)


async def test_commands_of_redis(make_context, tools):
    body = r"""case "$*" in
    *LRANGE*) printf 'a "b"\\c\td\ne\n';;
    *BROKEN*) echo 'ERR unknown command';;
    *) echo OK;; esac"""
    tools.install("redis-cli", body=body.replace("{", "{{").replace("}", "}}"))
    context = make_context(inputs={"word": 'it\'s "so"'})
    cli = {"type": f"{PLUGIN}.redis.cli.RedisCLI", "taskRunner": PROCESS, "host": "redis.test", "database": 2}
    lines = ['SET word "{{ inputs.word }}"', "LRANGE l 0 -1"]
    done = await context.run(**cli, commands=lines, username="ann", password="s3cret", tls=True, jsonOutput=True)
    assert done.vars == {"command_1": "OK", "command_2": 'a "b"\\c\td\ne'}
    base = ["redis-cli", "-h", "redis.test", "-p", "6379", "-n", "2", "--user", "ann", "--tls", "--json"]
    assert tools.calls == [[*base, "SET", "word", 'it\'s "so"'], [*base, "LRANGE", "l", "0", "-1"]]
    assert tools.env["REDISCLI_AUTH"] == "s3cret"
    assert "s3cret" in context.masked
    with pytest.raises(TaskFailed, match="exit code 1") as failed:
        await context.run(**cli, commands=["BROKEN", "GET x"])
    assert failed.value.outputs["vars"] == {"command_1": "ERR unknown command"}
    assert tools.calls[-1][-1] == "BROKEN"


async def test_dlt_asks_nothing(make_context, tools):
    tools.install("dlt")
    tools.install("python", body='cat "$1"; env')
    context = make_context(inputs={"name": "orders"})
    dlt = {"taskRunner": PROCESS, "type": f"{PLUGIN}.dlt.CLI"}
    lines = ['dlt init rest_api "{{ inputs.name }}"', "dlt --non-interactive pipeline orders info", "python x.py"]
    await context.run(**dlt, commands=lines, inputFiles={"x.py": "print(1)", "requirements.txt": ""}, env={"A": "b"})
    assert tools.calls[0] == ["dlt", "--non-interactive", "init", "rest_api", "orders"]
    assert [call[0] for call in tools.calls[-2:]] == ["dlt", "python"]
    assert tools.calls[-2][1:] == ["--non-interactive", "pipeline", "orders", "info"]
    await context.run(**{**dlt, "type": f"{PLUGIN}.dlt.Run"}, script='load("{{ inputs.name }}")')
    assert context.said(r'load\("orders"\)')
