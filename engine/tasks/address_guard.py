"""Keeps flows away from link-local addresses, where clouds serve machine credentials."""

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Any

from engine.plugin import Settings, TaskFailed

if TYPE_CHECKING:
    import httpx

METADATA_HOSTS = frozenset({"metadata.google.internal", "metadata", "instance-data"})
METADATA_ADDRESSES = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")})


def is_metadata_address(text: str) -> bool:
    """Whether an IP address is link-local or a known metadata service, also when it is IPv4 inside IPv6."""
    try:
        address = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_link_local or address in METADATA_ADDRESSES


async def check_address(url: "str | httpx.URL", settings: Settings) -> None:
    """TaskFailed when a URL is none, or leads to a refused address; names are resolved first."""
    if not settings.http.deny_metadata:
        return
    import httpx

    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL as error:
        raise TaskFailed(f"An address can't be read: {error}.", fix="Write it as https://example.com:443.") from error
    await check_host(host, settings)


async def check_host(host: str, settings: Settings) -> None:
    """TaskFailed when a host's name is none, or stands for a refused address."""
    if not settings.http.deny_metadata:
        return
    addresses = [host]
    if host and not is_metadata_address(host):
        try:
            # 0x7f000001, 2130706433 and names alike are read by the resolver as the connection would read them
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses += [str(entry[4][0]) for entry in found]
        except OSError:
            pass  # the request itself will say that the name is unknown
        except ValueError as error:  # a part of the name is empty or too long, or a character can't be in one
            raise TaskFailed(f"{host!r} is no name of a machine.", fix="Write it as mail.example.com.") from error
    if host.rstrip(".").lower() in METADATA_HOSTS or any(map(is_metadata_address, addresses)):
        refuse(host)


def check_peer(response: "httpx.Response", settings: Settings) -> None:
    """TaskFailed when the answer came from a refused address after all (a name that resolves differently twice)."""
    stream = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None and settings.http.deny_metadata else None
    check_reached(peer, response.request.url.host, settings)


def check_reached(peer: tuple[Any, ...] | None, host: str, settings: Settings) -> None:
    """TaskFailed when a connection to `host` is one to a refused address; `peer` is what the socket says."""
    if peer and settings.http.deny_metadata and is_metadata_address(str(peer[0])):
        refuse(host)


def refuse(host: str) -> None:
    """Raise for a host."""
    raise TaskFailed(
        f"{host} is a link-local address, which flows may not call.",
        fix="If it must be reached, the operator sets `http.deny_metadata: false`.",
    )
