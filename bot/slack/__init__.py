"""Slack: renderers to Block Kit, readers of Slack's JSON, and the connection."""
