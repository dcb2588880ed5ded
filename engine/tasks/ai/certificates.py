"""Certificates that a flow gives: who we are to a service, and whom we trust beside the usual authorities."""

import ssl
import tempfile

from engine.plugin import RunContext, TaskFailed


def trust(context: RunContext, client_pem: str | None, ca_pem: str | None) -> ssl.SSLContext | None:
    """A TLS context with them, None when there are none; TaskFailed when one can't be read."""
    if not client_pem and not ca_pem:
        return None
    made = ssl.create_default_context()
    if ca_pem:
        try:
            made.load_verify_locations(cadata=ca_pem)
        except ssl.SSLError as error:
            raise TaskFailed(
                "`caPem` is no certificate.", fix="Give PEM text: -----BEGIN CERTIFICATE----- …"
            ) from error
    if client_pem:
        context.mask(client_pem)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # the library reads keys from files only
            file.write(client_pem)
            file.flush()
            try:
                made.load_cert_chain(file.name)
            except ssl.SSLError as error:
                raise TaskFailed(
                    "`clientPem` is no certificate with its key.", fix="Give both as PEM text, one after the other."
                ) from error
    return made
