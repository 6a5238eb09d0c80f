"""Signs in with FastMCP's client at its defaults, lists the tools, calls one, and calls again after a refresh.

Prints `AUTHORIZE <url>` where it would open a browser, takes the callback at its own server, and prints `DONE <json>` at the end.
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
        # As if the access token had expired: the next request refreshes it first.
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
