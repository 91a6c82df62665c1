"""Who we are to etcd: users, passwords that change, tokens that expire, TLS and client certificates."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.certificates import Authority
from support.etcd import EtcdCluster, EtcdNode, run_etcd
from support.stores import next_batch, on_loop, open_etcd, watching
from support.waiting import wait_until

from quaestor_actors.adapters.store_etcd import EtcdStore
from quaestor_actors.core.location import ClientTls
from quaestor_actors.core.spec import STORE_PASSWORD_VARIABLE, STORE_USER_VARIABLE, StoreSpec
from quaestor_actors.core.store import StoreDeniedError, StoreUnavailableError

PASSWORD = "correct horse"  # noqa: S105 - of a throw-away etcd
ROOT = "--user=root:root's"
ENVIRON = {STORE_USER_VARIABLE: "worker", STORE_PASSWORD_VARIABLE: PASSWORD}
TOKEN_TTL_S = 1


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """Run an etcd whose user `worker` may do everything below `own/`, and whose tokens last a second."""
    folder = tmp_path_factory.mktemp("guarded")
    flags = ("--auth-token-ttl", str(TOKEN_TTL_S), "--bcrypt-cost", "4", "--log-level", "info")
    with run_etcd(folder, *flags) as cluster:
        enable_authentication(cluster)
        yield cluster


def enable_authentication(cluster: EtcdCluster) -> None:
    cluster.ctl("user", "add", "root:root's")
    cluster.ctl("user", "grant-role", "root", "root")
    cluster.ctl("role", "add", "worker")
    cluster.ctl("role", "grant-permission", "worker", "--prefix=true", "readwrite", "own/")
    cluster.ctl("user", "add", f"worker:{PASSWORD}")
    cluster.ctl("user", "grant-role", "worker", "worker")
    cluster.ctl("auth", "enable")


@on_loop
async def test__user__is_taken_from_the_specification_before_the_environment(
    guarded: EtcdCluster, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\nsomething else\n")
    other = {STORE_USER_VARIABLE: "somebody", STORE_PASSWORD_VARIABLE: "else"}
    async with open_etcd(guarded.spec(user="worker", password_file=str(file)), environ=other) as store:
        await store.put("own/key", "1")
    async with open_etcd(guarded.spec(), environ=ENVIRON) as store:
        assert [entry.value for entry in (await store.range("own/")).entries] == ["1"]


@on_loop
async def test__forbidden_keys__are_denied(guarded: EtcdCluster) -> None:
    async with open_etcd(guarded.spec(), environ=ENVIRON) as store:
        for call in (store.put("others/key", ""), store.range(""), anext(store.watch("others/", from_revision=1))):
            with pytest.raises(StoreDeniedError, match=f"{store.address} refuses: permission denied"):
                await call


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, f"wants a user and a password: .*{STORE_USER_VARIABLE}"),
        ({STORE_USER_VARIABLE: "worker"}, f"no password for etcd's user worker: set {STORE_PASSWORD_VARIABLE}"),
        ({STORE_USER_VARIABLE: "worker", STORE_PASSWORD_VARIABLE: "wrong"}, "refuses the user worker, or the password"),
        (
            {STORE_USER_VARIABLE: "nobody", STORE_PASSWORD_VARIABLE: PASSWORD},
            "refuses the user nobody, or the password",
        ),
    ],
)
def test__wrong_login__is_denied(guarded: EtcdCluster, environ: dict[str, str], message: str) -> None:
    @on_loop
    async def story() -> None:
        async with open_etcd(guarded.spec(), environ=environ) as store:
            for _ in range(2):
                with pytest.raises(StoreDeniedError, match=message):
                    await store.range("own/")
                with pytest.raises(StoreDeniedError, match=message):
                    await anext(store.watch("own/", from_revision=1))

    story()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file"), (b"\n", "first line of .* is empty"), (b"\xff\xfe", "no text in UTF-8")],
)
def test__unusable_password_file__is_denied(
    guarded: EtcdCluster, tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)

    @on_loop
    async def story() -> None:
        async with open_etcd(guarded.spec(user="worker", password_file=str(file)), environ=ENVIRON) as store:
            with pytest.raises(StoreDeniedError, match=message):
                await store.range("own/")

    story()


def token_of(store: EtcdStore) -> str:
    assert store._link is not None
    assert store._link._token
    return store._link._token


def ended_tokens(node: EtcdNode) -> set[str]:
    lines = (json.loads(line) for line in node.log().splitlines() if "deleted a simple token" in line)
    return {str(line["token"]) for line in lines}


@on_loop
async def test__token__that_has_expired_is_replaced(guarded: EtcdCluster) -> None:
    node = guarded.nodes[0]
    async with (
        open_etcd(guarded.spec(), environ=ENVIRON) as putter,
        open_etcd(guarded.spec(), environ=ENVIRON) as watcher,
        open_etcd(guarded.spec(), environ=ENVIRON) as keeper,
    ):
        lease = (await keeper.grant(60)).lease
        revision = await putter.put("own/key", "1", lease=lease)
        await watcher.range("own/")
        tokens = {token_of(store) for store in (putter, watcher, keeper)}
        await asyncio.to_thread(wait_until, lambda: tokens <= ended_tokens(node), 10, "the tokens to end")
        async with watching(watcher, "own/", from_revision=revision + 1) as (watch, _):
            await asyncio.gather(*(putter.put("own/key", "2") for _ in range(5)))
            assert (await next_batch(watch)).revision == revision + 1
        assert await keeper.keep_alive(lease) == 60
        await keeper.revoke(lease)


@on_loop
async def test__password__may_change_while_connected(guarded: EtcdCluster, tmp_path: Path) -> None:
    guarded.ctl(ROOT, "user", "add", "changing:before")
    guarded.ctl(ROOT, "user", "grant-role", "changing", "worker")
    file = tmp_path / "password"
    file.write_text("before")
    async with open_etcd(guarded.spec(user="changing", password_file=str(file))) as store:
        await store.range("own/")
        change_password(guarded, "after")
        with pytest.raises(StoreDeniedError, match="refuses the user changing, or the password"):
            await store.range("own/")
        file.write_text("after")
        await store.range("own/")


def change_password(cluster: EtcdCluster, password: str) -> None:
    cluster.ctl(ROOT, "user", "delete", "changing")
    cluster.ctl(ROOT, "user", "add", f"changing:{password}")
    cluster.ctl(ROOT, "user", "grant-role", "changing", "worker")


@on_loop
async def test__authentication__may_be_enabled_while_connected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with run_etcd(tmp_path, "--bcrypt-cost", "4") as cluster:
        async with open_etcd(cluster.spec(), environ=ENVIRON) as store:
            await store.put("own/key", "")
            assert "authentication is not enabled" in caplog.text
            enable_authentication(cluster)
            await store.put("own/key", "")


@on_loop
async def test__password__is_in_no_log_and_no_error(guarded: EtcdCluster, caplog: pytest.LogCaptureFixture) -> None:
    secret = "aWonderfulSecret"  # noqa: S105 - it opens nothing
    caplog.set_level(logging.DEBUG)
    environ = {STORE_USER_VARIABLE: "worker", STORE_PASSWORD_VARIABLE: secret}
    async with open_etcd(guarded.spec(), environ=environ) as store:
        with pytest.raises(StoreDeniedError) as caught:
            await store.range("own/")
        assert store._link is not None
        said = [repr(store), repr(store._link._login), *traceback.format_exception(caught.value), caplog.text]
    assert "worker" in "".join(said)
    assert secret not in "".join(said)


def test__store__touches_nothing_before_its_first_call(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    spec = StoreSpec(
        endpoints=(("::1", 2379), ("localhost", 1)),
        use_tls=True,
        tls=ClientTls(ca_certificate_file=missing),
        password_file=missing,
    )
    store = EtcdStore(spec, environ={}, log=logging.getLogger("test"))
    assert store.address == "[::1]:2379"

    @on_loop
    async def story() -> None:
        with pytest.raises(StoreDeniedError, match=r"missing\.pem cannot be read"):
            await store.range("")
        await store.close()

    story()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[EtcdCluster]:
    """Run an etcd that wants a client certificate, which says who the user is: `root` alone."""
    certificate, key = authority.issue("localhost")
    flags = ("--cert-file", certificate, "--key-file", key, "--client-cert-auth", "--trusted-ca-file")
    folder = tmp_path_factory.mktemp("sealed")
    with run_etcd(folder, *flags, authority.root_file, scheme="https") as cluster:
        of_root, key_of_root = authority.issue("root")
        tls = ("--insecure-skip-tls-verify", "--cert", of_root, "--key", key_of_root)
        cluster.ctl(*tls, "user", "add", "root", "--no-password")
        cluster.ctl(*tls, "user", "grant-role", "root", "root")
        cluster.ctl(*tls, "auth", "enable")
        yield cluster


def by_tls(cluster: EtcdCluster, root_file: str, certificate: str | None = None) -> StoreSpec:
    endpoints = (("localhost", cluster.nodes[0].plan.client_port),)
    tls = ClientTls(ca_certificate_file=root_file, client_certificate=certificate)
    return cluster.spec(endpoints=endpoints, use_tls=True, tls=tls)


@on_loop
async def test__certificate__is_the_only_login_that_is_needed(sealed: EtcdCluster, authority: Authority) -> None:
    of_root = authority.combine(authority.issue("root"))
    async with open_etcd(by_tls(sealed, authority.root_file, of_root)) as store:
        revision = await store.put("key", "1")
        async with watching(store, "key", from_revision=revision) as (watch, _):
            assert (await next_batch(watch)).revision == revision
    of_nobody = authority.combine(authority.issue("nobody"))
    async with open_etcd(by_tls(sealed, authority.root_file, of_nobody)) as store:
        with pytest.raises(StoreDeniedError):
            await store.range("key")


@on_loop
async def test__connection__without_what_tls_needs__is_none(
    sealed: EtcdCluster, authority: Authority, tmp_path: Path
) -> None:
    of_root = authority.combine(authority.issue("root"))
    stranger = Authority(tmp_path)
    plain = sealed.spec()
    for spec in (by_tls(sealed, authority.root_file), by_tls(sealed, stranger.root_file, of_root), plain):
        async with open_etcd(spec) as store:
            with pytest.raises(StoreUnavailableError, match=f"no connection to {store.address}"):
                await store.range("key")


@on_loop
async def test__files__are_read_for_each_connection(sealed: EtcdCluster, authority: Authority, tmp_path: Path) -> None:
    of_root = authority.combine(authority.issue("root"))
    trusted = Path(Authority(tmp_path).root_file)
    async with open_etcd(by_tls(sealed, str(trusted), of_root)) as store:
        with pytest.raises(StoreUnavailableError):
            await store.range("key")
        await asyncio.to_thread(trusted.write_bytes, authority.root_pem)
        await store.range("key")
