"""A server killed in the middle of an upload: nothing acknowledged is lost, the file is whole."""

import os
import uuid

import pytest

from tests.e2e.conftest import docker
from tests.serve.berth_client import BerthClient
from tests.serve.server_process import ServerProcess
from tests.serve.upload_program import MIB, PIECE_BYTES, Program, digest_of, piece_at

pytestmark = [pytest.mark.slow, pytest.mark.docker]

SIZE = int(os.environ.get("BERTH_TEST_UPLOAD_MB", "300")) * MIB + 4321
"""2047 is about the largest that is taken, and takes two minutes."""
MAX_GROWTH_MB = 48
"""Beyond the pieces on their way: four copies of one would be more than that."""


def upload_with_a_kill(server: ServerProcess, size: int) -> tuple[str, str, float]:
    """Sends `size` bytes, the server killed half-way: digest, container, growth of the server."""
    program = Program(BerthClient(server.url, server.link), uuid.UUID(int=0))
    session = program.client.create_session("```bash\necho ready\n```")
    program = Program(program.client, session)
    digest = digest_of(size)
    upload = program.begin(size, digest)
    half = size // 2 // PIECE_BYTES * PIECE_BYTES
    offset = 0
    while offset < half:
        offset = program.send(upload, offset, piece_at(offset, size))
    cut = program.send_half(upload, offset, piece_at(offset, size))
    server.kill()
    cut.close()
    server.start()
    program.client.url = server.url
    assert program.offset(upload) == half
    before = peak = server.memory_mb()
    while offset < size:
        offset = program.send(upload, offset, piece_at(offset, size))
        peak = max(peak, server.memory_mb())
    program.ask("POST", f"{upload}/finish/")
    return digest, program.client.container(session), max(peak, server.memory_mb()) - before


@pytest.mark.timeout(900)
def test_an_upload_outlives_its_server(docker_server: ServerProcess) -> None:
    digest, container, growth_mb = upload_with_a_kill(docker_server, SIZE)
    seen = docker("exec", container, "sha256sum", "/workspace/big.bin").split()[0]
    assert seen == digest
    assert growth_mb < MAX_GROWTH_MB
