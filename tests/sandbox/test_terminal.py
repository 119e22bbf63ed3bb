"""Terminals, in the guest's protocol alone so far."""

import json

from sessions.sandbox.guest import wire
from tests.sandbox.hostile_guest import json_frame
from tests.sandbox.test_wire_fuzz import Visitor


async def test_a_command_in_a_terminal(child):
    visitor = Visitor(child.backend.guest(child.container_id))
    visitor.greet()
    script = "tty >/dev/null && stty size; read line; stty size; echo got $line"
    start = {
        "exec_id": "terminal",
        "argv": ["/bin/sh", "-c", script],
        "pty": {"columns": 91, "rows": 33},
    }
    visitor.send(json_frame(wire.START, 1, start))
    position = json.loads(visitor.read_until(wire.STARTED, 1))["stdin"]
    assert position["offset"] == 0
    seen, ending = b"", None
    decoder = wire.FrameDecoder()
    while ending is None:
        for kind, _ident, payload in decoder.feed(visitor.socket.recv(65536)):
            if kind == wire.ENDED:
                ending = json.loads(payload)
            elif kind == wire.OUTPUT:
                assert payload[0] == wire.PTY
                seen += payload[wire.POSITION.size :]
                if seen == b"33 91\r\n":
                    visitor.send(json_frame(wire.RESIZE, 1, {"columns": 70, "rows": 20}))
                    head = wire.data_head(wire.INPUT, 1, wire.STDIN, 0, 3)
                    visitor.send(head + b"hi\n")
    visitor.close()
    assert seen == b"33 91\r\nhi\r\n20 70\r\ngot hi\r\n"
    assert ending["exit_code"] == 0
