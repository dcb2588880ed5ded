"""Commands and files on another machine: a real SSH server on the loopback address."""

from hashlib import sha256, sha512

import asyncssh
import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.wire.ssh import ssh_server

SSH, SFTP = "io.kestra.plugin.fs.ssh", "io.kestra.plugin.fs.sftp"


@pytest.fixture(scope="module")
def key():
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture
async def machine(tmp_path, key):
    """Where the server is and who may come in; `folder` is what it shows."""
    folder = tmp_path / "remote"
    folder.mkdir()
    async with ssh_server(folder, key) as port:
        yield {"host": "127.0.0.1", "port": port, "username": "deploy", "password": "s3cret"}


async def test_commands_and_what_they_hand_on(make_context, machine):
    context = make_context(inputs={"x": 'a "b" $c'})
    commands = [
        'echo "said {{ inputs.x }} in $PLACE"',
        "echo careful >&2",
        'echo \'::{"outputs":{"n":1}}::\'',
    ]
    found = await context.run(type=f"{SSH}.Command", **machine, commands=commands, env={"PLACE": "Bern"})
    assert (found.vars, found.exitCode, found.stdOutLineCount, found.stdErrLineCount) == ({"n": 1}, 0, 2, 1)
    assert context.said(r'^said a "b" \$c in Bern$', "INFO")
    assert context.said("^careful$", "ERROR")
    assert "s3cret" in context.masked
    with pytest.raises(TaskFailed, match="ended with exit status 3") as failed:
        await context.run(type=f"{SSH}.Command", **machine, commands=['echo \'::{"outputs":{"n":2}}::\'; exit 3'])
    assert failed.value.outputs["vars"] == {"n": 2}


async def test_keys(context, machine, key):
    del machine["password"]
    by_key = {"type": f"{SSH}.Command", **machine, "authMethod": "PUBLIC_KEY", "commands": ["true"]}
    text = key.export_private_key("openssh", "phrase").decode()
    assert (await context.run(**by_key, privateKey=text, privateKeyPassphrase="phrase")).exitCode == 0
    assert text in context.masked
    for given, said in (
        ({"privateKey": text, "privateKeyPassphrase": "wrong"}, "private key cannot be read"),
        ({"privateKey": "none"}, "private key cannot be read"),
        ({}, "`privateKey` is missing"),
        ({"privateKey": asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()}, "deploy in"),
    ):
        with pytest.raises(TaskFailed, match=said):
            await context.run(**by_key, **given)


async def test_who_may_not_come_in(context, machine):
    task = {"type": f"{SSH}.Command", "commands": ["true"]}
    with pytest.raises(TaskFailed, match=r"does not let deploy in.*Check user and password"):
        await context.run(**task, **{**machine, "password": "wrong"})
    with pytest.raises(TaskFailed, match="`password` is missing"):
        await context.run(**task, **{**machine, "password": None})
    with pytest.raises(TaskFailed, match="own SSH configuration"):
        await context.run(**task, **machine, authMethod="OPEN_SSH", openSSHConfigPath="/etc/ssh/ssh_config")
    with pytest.raises(TaskFailed, match="could not be reached"):
        await context.run(**task, **machine, strictHostKeyChecking="yes")
    with pytest.raises(TaskFailed, match="link-local"):
        await context.run(**task, **{**machine, "host": "169.254.169.254"})
    with pytest.raises(TaskFailed, match="is not a number"):
        await context.run(**task, **{**machine, "port": "ssh"})


async def test_a_machine_that_is_not_there(context, machine, unused_tcp_port):
    gone = {**machine, "port": unused_tcp_port}
    with pytest.raises(TaskFailed, match="could not be reached"):
        await context.run(type=f"{SSH}.Command", **gone, commands=["true"])


async def test_files_there_and_back(context, machine, tmp_path):
    remote = tmp_path / "remote"
    uri = await context.files.put(b"1;2\n", "report.csv")
    done = await context.run(type=f"{SFTP}.Upload", **machine, from_=uri, to="/out/new/latest.csv")
    assert (done.to, (remote / "out/new/latest.csv").read_bytes()) == ("/out/new/latest.csv", b"1;2\n")
    with pytest.raises(TaskFailed, match="already"):
        await context.run(type=f"{SFTP}.Upload", **machine, from_=uri, to="/out/new/latest.csv", overwrite=False)
    several = await context.run(type=f"{SFTP}.Uploads", **machine, from_={"a.csv": uri, "b.csv": uri}, to="/out/")
    assert several.files == ["out/a.csv", "out/b.csv"]
    await context.run(type=f"{SFTP}.Uploads", **machine, from_=[uri], to="/out/")
    listed = await context.run(type=f"{SFTP}.List", **machine, from_="/out/")
    assert [(one["name"], one["fileType"]) for one in listed.files] == [
        ("a.csv", "FILE"),
        ("b.csv", "FILE"),
        ("new", "FOLDER"),
        ("report.csv", "FILE"),
    ]
    deep = await context.run(type=f"{SFTP}.List", **machine, from_="/out", recursive=True, regExp=r".*/l.*\.csv")
    assert [one["serverPath"] for one in deep.files] == ["out/new/latest.csv"]
    back = await context.run(type=f"{SFTP}.Download", **machine, from_="/out/a.csv")
    assert context.files.text(back.to) == "1;2\n"
    await context.run(type=f"{SFTP}.Move", **machine, from_="/out/a.csv", to="/kept/")
    assert (remote / "kept/a.csv").exists()
    assert not (remote / "out/a.csv").exists()
    gone = await context.run(type=f"{SFTP}.Delete", **machine, uri="/kept/a.csv")
    assert (gone.deleted, list((remote / "kept").iterdir())) == (True, [])
    assert not (await context.run(type=f"{SFTP}.Delete", **machine, uri="/kept/a.csv")).deleted
    with pytest.raises(TaskFailed, match="There is no file"):
        await context.run(type=f"{SFTP}.Delete", **machine, uri="/kept/a.csv", errorOnMissing=True)
    with pytest.raises(TaskFailed, match=r"refused: .*Check the path"):
        await context.run(type=f"{SFTP}.Download", **machine, from_="/none")


async def test_a_file_is_the_one_that_was_meant(context, machine, tmp_path):
    (tmp_path / "remote" / "a.csv").write_text("x")
    get = {"type": f"{SFTP}.Download", **machine, "from_": "/a.csv", "validateChecksum": True}
    await context.run(**get, checksumExpected=sha256(b"x").hexdigest().upper())
    await context.run(**get, checksumExpected=sha512(b"x").hexdigest(), checksumAlgorithm="SHA_512")
    with pytest.raises(TaskFailed, match=r"The SHA_256 of /a.csv is .*, not 00"):
        await context.run(**get, checksumExpected="00")
    with pytest.raises(TaskFailed, match="Give `checksumExpected`"):
        await context.run(**get)
    await context.run(**{**get, "validateChecksum": False}, checksumExpected="00")


async def test_keys_may_sign_as_they_did_once(context, machine, tmp_path):
    (tmp_path / "remote" / "a.csv").write_text("x")
    listed = await context.run(type=f"{SFTP}.List", **machine, from_="/", enableSshRsa1=True)
    assert [one["name"] for one in listed.files] == ["a.csv"]


async def test_files_are_taken_and_start_executions(context, machine, tmp_path):
    inbox = tmp_path / "remote" / "in"
    inbox.mkdir()
    for name in ("a.csv", "b.csv", "c.csv"):
        (inbox / name).write_text(name)
    take = {"type": f"{SFTP}.Downloads", **machine, "from_": "/in/"}
    found = await context.run(**take, action="MOVE", moveDirectory="/archive/", maxFiles=2)
    assert [context.files.text(one["path"]) for one in found.files] == ["a.csv", "b.csv"]
    assert [path.name for path in inbox.iterdir()] == ["c.csv"]
    assert (tmp_path / "remote" / "archive" / "b.csv").exists()
    await context.run(**take, action="MOVE", moveDirectory="/in")
    await context.run(type=f"{SFTP}.Move", **machine, from_="/in/c.csv", to="/in/", overwrite=True)
    assert (inbox / "c.csv").read_text() == "c.csv"
    with pytest.raises(TaskFailed, match="where to move"):
        await context.run(**take, action="MOVE")
    cls = catalogue().find(f"{SFTP}.Trigger")
    given = {"id": "t", "type": f"{SFTP}.Trigger", **machine, "from": "/{{ 'in' }}/", "action": "DELETE"}
    trigger = cls.model_validate(given, context={"registry": catalogue()})
    assert [one["name"] for one in (await trigger.poll(context)).found.files] == ["c.csv"]
    assert (await trigger.poll(context)).found is None


async def test_a_machine_is_not_reached_by_a_command_of_this_one(context):
    task = {"type": "io.kestra.plugin.fs.ssh.Command", "host": "127.0.0.1", "username": "u", "password": "p"}
    with pytest.raises(TaskFailed, match="start no command of this machine"):
        await context.run(**task, commands=["id"], proxyCommand="nc %h %p")
