"""Signs in with FastMCP's client in its default settings, lists the tools, calls one, and calls it again after a refresh.

Prints `AUTHORIZE <url>` instead of opening a browser, receives the callback on its own server, and finally prints `DONE <json>`.
"""

import asyncio
import json
import sys
import webbrowser

from fastmcp import Client
from fastmcp.client.auth import OAuth


def print_url(url, *_args, **_options):
    print("AUTHORIZE", url, flush=True)
    return True


webbrowser.open = print_url


async def main(url, sql):
    auth = OAuth(url)
    async with Client(url, auth=auth) as client:
        tools = await client.list_tools()
        first = await client.call_tool("query", {"source": "shop", "sql": sql})
        access_token = auth.context.current_tokens.access_token
        # Marks the access token as expired, so that the next request refreshes it first.
        auth.context.token_expiry_time = 1
        second = await client.call_tool("query", {"source": "shop", "sql": sql})
    result = {
        "method": auth.context.client_info.token_endpoint_auth_method,
        "tools": [tool.name for tool in tools],
        "rows": [first.structured_content["rows"], second.structured_content["rows"]],
        "refreshed": auth.context.current_tokens.access_token != access_token,
    }
    print("DONE", json.dumps(result), flush=True)


asyncio.run(main(*sys.argv[1:3]))
