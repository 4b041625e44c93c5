"""A store for the pages that write to one."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable

import pytest

from tests.docs.pages import blocks_of
from tests.stores import environment, server


@pytest.fixture
def stores(request) -> Callable[[str], dict[str, str]]:
    """The variables that lead the commands of a page to a store of this machine, with its buckets;
    none for a page that names no store."""

    def variables(page: str) -> dict[str, str]:
        text = "".join(block.text for block in blocks_of(page) if not block.reason)
        buckets = sorted(set(re.findall(r"s3://([\w.-]+)", text)))
        if not buckets:
            return {}
        port = request.getfixturevalue("store_port")
        for bucket in buckets:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("PUT", f"/{bucket}")
            assert connection.getresponse().status == 200
        return environment(f"http://127.0.0.1:{port}")

    return variables


@pytest.fixture(scope="package")
def store_port():
    with server() as port:
        yield port
