"""A real MCP server, of the `mcp` package: `python mcp_server.py stdio|sse|streamable-http|broken [PORT]`."""

import os
import sys
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("toolbox")


@server.tool()
def add(a: int, b: int) -> str:
    """Add two numbers."""
    return f"{a} + {b} = {a + b}"


@server.tool()
def surroundings(name: str) -> str:
    """What an environment variable holds, and where the server runs."""
    return f"{os.environ.get(name)} in {Path.cwd()}"


@server.tool()
def fail() -> str:
    """Always fails."""
    raise ToolError("no ink")


@server.tool()
def die() -> str:
    """Ends the server in the middle of the call."""
    os._exit(3)


if __name__ == "__main__":
    how = sys.argv[1]
    if how == "broken":
        sys.exit("toolbox: no license found")
    print("toolbox is up", file=sys.stderr)
    if how == "stdio":
        server.run("stdio")
    else:
        server.run(how, host="127.0.0.1", port=int(sys.argv[2]))
