"""Pictures of runs and flows: SVG that we draw, and PNG for chats."""
