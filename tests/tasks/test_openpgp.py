"""Files encrypted and signed, by the real GnuPG."""

import os
import shutil
import subprocess

import pytest

from engine.errors import TaskFailed
from tests.shared import part

PGP = "io.kestra.plugin.crypto.openpgp"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Two people's keys, public and private; Bob's has a passphrase."""
    part(shutil.which("gpg") is not None, "GnuPG", "apt-get install gnupg")
    home = tmp_path_factory.mktemp("k")
    (home / "gpg-agent.conf").write_text("s2k-count 65536\n")
    env = {**os.environ, "GNUPGHOME": str(home)}

    def gpg(*words, passphrase=""):
        loud = ["gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase, "--armor", *words]
        return subprocess.run(loud, env=env, capture_output=True, text=True, check=True).stdout

    made = {}
    for name, passphrase in (("ann", ""), ("bob", "s3cret")):
        address = f"{name}@x.test"
        gpg(
            "--quick-generate-key",
            f"{name.title()} <{address}>",
            "future-default",
            "default",
            "never",
            passphrase=passphrase,
        )
        made[name] = gpg("--export", address), gpg("--export-secret-keys", address, passphrase=passphrase)
    subprocess.run(["gpgconf", "--kill", "all"], env=env, check=False)
    return made


async def test_for_one_person(context, keys):
    (ann, ann_private), (bob, bob_private) = keys["ann"], keys["bob"]
    uri = await context.files.put(b"a report\n" * 1000, "report.csv")
    seal = {"type": f"{PGP}.Encrypt", "from_": uri, "key": bob, "recipients": ["bob@x.test"]}
    sealed = (await context.run(**seal)).uri
    assert sealed.endswith("report.csv.pgp")
    assert b"a report" not in await context.files.read(sealed)
    unseal = {"type": f"{PGP}.Decrypt", "privateKey": bob_private, "privateKeyPassphrase": "s3cret"}
    found = (await context.run(**unseal, from_=sealed)).uri
    assert (found.rpartition("/")[2], context.files.text(found)) == ("report.csv", "a report\n" * 1000)
    assert {"s3cret", bob_private} <= set(context.masked)
    with pytest.raises(TaskFailed, match=r"GnuPG refused: .*(No secret key|decryption failed)"):
        await context.run(type=f"{PGP}.Decrypt", privateKey=ann_private, from_=sealed)
    with pytest.raises(TaskFailed, match=r"GnuPG refused: .*([Bb]ad passphrase|No secret key)"):
        await context.run(**{**unseal, "privateKeyPassphrase": "no"}, from_=sealed)
    with pytest.raises(TaskFailed, match=r"GnuPG refused: .*(no valid OpenPGP|not encrypted|decrypt)"):
        await context.run(**unseal, from_=uri)
    with pytest.raises(TaskFailed, match=r"GnuPG refused: .*eve@x\.test"):
        await context.run(**{**seal, "recipients": ["eve@x.test"]})
    with pytest.raises(TaskFailed, match="GnuPG refused"):
        await context.run(**{**seal, "key": "no key"})
    assert ann


async def test_a_small_file_does_not_fill_the_disk(context, keys, monkeypatch):
    bob, bob_private = keys["bob"]
    uri = await context.files.put(b"0" * 5_000_000, "zeros")
    sealed = (await context.run(type=f"{PGP}.Encrypt", from_=uri, key=bob, recipients=["bob@x.test"])).uri
    monkeypatch.setattr("engine.tasks.crypto.openpgp.MAX_BYTES", 1_000_000)
    with pytest.raises(TaskFailed, match="GnuPG refused"):
        await context.run(type=f"{PGP}.Decrypt", privateKey=bob_private, privateKeyPassphrase="s3cret", from_=sealed)


async def test_signed(context, keys):
    (ann, ann_private), (bob, bob_private) = keys["ann"], keys["bob"]
    uri = await context.files.put(b"an order", "order.txt")
    seal = {"type": f"{PGP}.Encrypt", "from_": uri, "key": bob, "recipients": ["bob@x.test"]}
    sealed = (await context.run(**seal, signPrivateKey=ann_private, signUser="ann@x.test")).uri
    unseal = {"type": f"{PGP}.Decrypt", "privateKey": bob_private, "privateKeyPassphrase": "s3cret"}
    sure = {**unseal, "signUsersKey": [ann], "requiredSignerUsers": ["ann@x.test"]}
    assert context.files.text((await context.run(**sure, from_=sealed)).uri) == "an order"
    with pytest.raises(TaskFailed, match=r"not signed by bob@x\.test, but by Ann <ann@x\.test>"):
        await context.run(**{**sure, "requiredSignerUsers": ["bob@x.test"]}, from_=sealed)
    plain = (await context.run(**seal)).uri
    with pytest.raises(TaskFailed, match=r"not signed by ann@x\.test, but by nobody"):
        await context.run(**sure, from_=plain)
    assert context.files.text((await context.run(**unseal, from_=sealed)).uri) == "an order"  # nobody asks who
    assert list(context.working_dir.rglob("pgp-*")) == []


async def test_gnupg_may_be_missing(context, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    uri = await context.files.put(b"x", "x")
    with pytest.raises(TaskFailed, match="GnuPG is not installed here"):
        await context.run(type=f"{PGP}.Encrypt", from_=uri, recipients=["a"])
