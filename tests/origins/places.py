"""Every kind of origin, each at a place where tests can put originals. A new one is one more `Place`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import obstore
from obstore.store import ObjectStore

from proxy.clients.object_store import open_store
from proxy.model.limits import Limits
from proxy.origins import Origin
from proxy.origins.bucket import BucketOrigin
from proxy.origins.file import FileOrigin
from proxy.origins.http import HTTPOrigin, make_client
from proxy.origins.listing import Listing
from proxy.origins.remote import RemoteOrigin
from proxy.origins.remote_hosts import remote_hosts
from proxy.origins.sources import Rewrite, Source
from tests.origins.server import Server, reply
from tests.s3 import S3Server

LIMITS = Limits(max_source_bytes=1000)

BY_NAME = ["file", "http", "s3"]
"""Origins whose keys are names; those of the others are whole URLs."""

LISTED = ["file", "s3"]
"""Origins that have a list of their keys."""

REWRITING = Source(url="/", rewrite=(Rewrite(match=re.compile("old/(.*)"), to=r"inside/\1"),)).rewritten
"""By origins whose keys are names."""


class ListedOrigin(Origin, Listing, Protocol):
    """An origin that can be asked for its keys, if only to refuse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An origin, and how something is put where it looks. `prefix` is what its keys begin with."""

    origin: ListedOrigin
    put: Callable[[str, bytes], None]
    prefix: str = ""


def file_place(root: Path) -> Place:
    def put(name: str, body: bytes) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    root.mkdir()
    (root.parent / "secret.jpg").write_bytes(b"secret")
    return Place(origin=FileOrigin(root, LIMITS, rewrite=REWRITING), put=put)


def s3_place(s3: S3Server, folder: str) -> Place:
    store: ObjectStore = open_store(f"s3://{s3.bucket}/{folder}", s3.config, 30.0)
    obstore.put(open_store(f"s3://{s3.bucket}", s3.config, 30.0), "secret.jpg", b"secret")

    def put(name: str, body: bytes) -> None:
        obstore.put(store, name, body)

    return Place(origin=BucketOrigin(store, LIMITS, fetch_timeout=30.0, rewrite=REWRITING), put=put)


def http_place(server: Server) -> Place:
    client = make_client(private_hosts=["127.0.0.1"])
    origin = HTTPOrigin(client, f"{server.url}/base", LIMITS, rewrite=REWRITING)
    return Place(origin=origin, put=_put_answer(server))


def remote_place(server: Server) -> Place:
    client = make_client(private_hosts=["127.0.0.1"])
    origin = RemoteOrigin(client, remote_hosts([f"127.0.0.1:{server.port}"]), LIMITS)
    return Place(origin=origin, put=_put_answer(server), prefix=f"{server.url}/base/")


def _put_answer(server: Server) -> Callable[[str, bytes], None]:
    server.put("/secret.jpg", reply(b"secret"))
    return lambda name, body: server.put(f"/base/{name}", reply(body))
