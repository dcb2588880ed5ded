"""A directory, in a thread: signed in to it, asked and changed."""

import ssl
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, Literal, TypeVar

from pydantic import Field

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks.address_guard import check_host
from engine.tasks.extras import extra
from engine.tasks.http_options import Ssl
from engine.tasks.ldif import raw_of
from engine.tasks.property_types import Text
from engine.tasks.threads import in_own_thread, while_alive

R = TypeVar("R")
PATIENCE = 60  # seconds for an answer
SECURE = 636
PAGE = 500  # entries a directory is asked for at once: many give no more than a thousand


class LdapConnected(Part):
    """Which directory, and who we are to it. With `sslOptions`, or on port 636, over TLS."""

    hostname: Property[Text]
    port: Property[int] = Field(ge=1, le=65535)
    user_dn: Property[Text]
    password: Property[Text]
    auth_method: Property[Literal["simple", "gssapi"]] = "simple"
    kdc: Any = None
    realm: Any = None
    sasl_allowed_qo_p: Any = Field(default=None, alias="saslAllowedQoP")
    ssl_options: Property[Ssl | None] = None

    async def directory(self, context: RunContext, work: Callable[["Directory"], R]) -> R:
        """What `work` makes of the directory, in a thread; TaskFailed when that can't be reached or refuses. Nothing
        more is asked of the directory once the task is killed."""
        if self.auth_method == "gssapi":
            raise TaskFailed("Kerberos is not supported here.", fix="Sign in with `authMethod: simple`, over TLS.")
        context.mask(self.password)
        await check_host(self.hostname, context.settings)
        with warnings.catch_warnings():  # it still uses older names of a library of its own
            warnings.simplefilter("ignore", DeprecationWarning)
            ldap3 = extra("ldap3", "ldap")
        where = f"{self.hostname}:{self.port}"

        def talk(alive: Callable[..., None]) -> R:
            connection = self._connection(ldap3)
            try:
                connection.bind()
                return work(Directory(ldap3, connection, alive))
            except ldap3.core.exceptions.LDAPInvalidCredentialsResult as error:
                raise TaskFailed(f"{where} refused {self.user_dn}.", fix="Check `userDn` and `password`.") from error
            except ldap3.core.exceptions.LDAPCommunicationError as error:
                raise TaskFailed(f"{where} could not be reached: {error}.", fix="Check host, port and TLS.") from error
            except ldap3.core.exceptions.LDAPException as error:
                raise TaskFailed(f"{where} refused: {said(error)}.") from error
            finally:
                with suppress(ldap3.core.exceptions.LDAPException):
                    connection.unbind()
                if connection.socket is not None:  # one that never got through is left open otherwise
                    connection.socket.close()

        with while_alive() as alive:
            return await in_own_thread(partial(talk, alive))

    def _connection(self, ldap3: Any) -> Any:
        trusting = self.ssl_options is not None and self.ssl_options.insecure_trust_all_certificates
        tls = ldap3.Tls(validate=ssl.CERT_NONE if trusting else ssl.CERT_REQUIRED)
        server = ldap3.Server(
            self.hostname,
            port=self.port,
            use_ssl=self.ssl_options is not None or self.port == SECURE,
            tls=tls,
            get_info=ldap3.NONE,
            connect_timeout=PATIENCE,
        )
        return ldap3.Connection(
            server,
            self.user_dn,
            self.password,
            raise_exceptions=True,
            auto_referrals=False,  # they would take the password elsewhere
            check_names=False,
            receive_timeout=PATIENCE,
        )


class Directory:
    """A directory that one is signed in to. `alive` is asked before it is asked anything."""

    def __init__(self, ldap3: Any, connection: Any, alive: Callable[..., None]) -> None:
        self._connection, self._alive = connection, alive
        self.refusal: type[Exception] = ldap3.core.exceptions.LDAPOperationResult

    def found(
        self, base: str, scope: str, wanted: str, attributes: list[str], most: int | None = None
    ) -> list[Mapping[str, Any]]:
        """Entries with their raw values, the first `most` of them, page by page where the directory gives pages."""
        self._alive()
        pages = self._connection.extend.standard.paged_search(
            base, wanted, scope, attributes=attributes, paged_size=PAGE, generator=True
        )

        def entries() -> Iterator[Mapping[str, Any]]:
            for one in pages:
                self._alive()
                if one["type"] == "searchResEntry":
                    yield one

        return list(islice(entries(), most))

    def change(self, record: Mapping[str, Any]) -> None:
        """Do what a record says; one that is an entry is added."""
        self._alive()
        dn, kind = record["dn"], record.get("changeType") or "add"
        if kind == "add":
            given = {name: [raw_of(value) for value in values] for name, values in record["attributes"].items()}
            self._connection.add(dn, attributes=given)
        elif kind == "delete":
            self._connection.delete(dn)
        elif kind == "modify":
            changes: dict[str, list[Any]] = {}
            for one in record["modifications"]:
                values = [raw_of(value) for value in one["values"]]
                changes.setdefault(one["attribute"], []).append((f"MODIFY_{one['operation']}", values))
            self._connection.modify(dn, changes)
        else:
            told = record["newDn"]
            above, drop = told.get("newsuperior"), told["deleteoldrdn"]
            self._connection.modify_dn(dn, told["newrdn"], delete_old_dn=drop, new_superior=above)


def said(error: Exception) -> str:
    """A refusal in the directory's words."""
    parts = (getattr(error, "description", None), getattr(error, "message", None))
    return ": ".join(str(part).strip() for part in parts if part) or str(error)
