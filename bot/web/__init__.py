"""The web page: the demo's chat room, execution pages, forms and the loopback API.

`app.py` puts it together, `gate.py` decides who may pass, `room.py` is the chat room as one more chat platform,
`pages.py`, `executions.py`, `doors.py` and `api.py` answer requests, `views.py` draws (pure).
"""
