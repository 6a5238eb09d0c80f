"""Signs in with the official Python SDK in its default settings, lists the tools, calls one, and calls it again after a refresh.

Prints `AUTHORIZE <url>`, reads the callback URL from standard input, and finally prints `DONE <json>`.
"""

import asyncio
import json
import sys
from urllib.parse import parse_qs, urlparse

from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata


class Storage:
    """Stores tokens and the registration in memory."""

    tokens = None
    client_info = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client_info

    async def set_client_info(self, client_info):
        self.client_info = client_info


async def authorize(url):
    print("AUTHORIZE", url, flush=True)


async def read_callback():
    line = await asyncio.to_thread(sys.stdin.readline)
    query = parse_qs(urlparse(line.strip()).query)
    code, state, iss = (query.get(name, [None])[0] for name in ("code", "state", "iss"))
    return AuthorizationCodeResult(code=code, state=state, iss=iss)


async def main(url, sql):
    storage = Storage()
    metadata = OAuthClientMetadata(client_name="Python SDK", redirect_uris=["http://localhost:3030/callback"])
    auth = OAuthClientProvider(url, metadata, storage, authorize, read_callback)
    async with create_mcp_http_client(auth=auth) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            tools = (await client.list_tools()).tools
            first = await client.call_tool("query", {"source": "shop", "sql": sql})
            access_token = storage.tokens.access_token
            # Marks the access token as expired, so that the next request refreshes it first.
            auth.context.token_expiry_time = 1
            second = await client.call_tool("query", {"source": "shop", "sql": sql})
    result = {
        "method": storage.client_info.token_endpoint_auth_method,
        "tools": [tool.name for tool in tools],
        "rows": [first.structured_content["rows"], second.structured_content["rows"]],
        "refreshed": storage.tokens.access_token != access_token,
    }
    print("DONE", json.dumps(result), flush=True)


asyncio.run(main(*sys.argv[1:3]))
