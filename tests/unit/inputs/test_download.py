"""Downloads from a server of the test's own: whole, resumed, cut off, refused."""

import pytest
from download_server import CONTENT

from driver.inputs import download
from shared.errors import CrossquantError

FOUR_BLOCKS = [(n * download.BLOCK, len(CONTENT)) for n in range(1, 5)]


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads" / "a.bin"


@pytest.fixture
def part(target):
    return target.with_name("a.bin.part")


def fetch(server, target):
    """The progress that was reported."""
    reports = []
    download.download_https(server.url, target, lambda done, total: reports.append((done, total)))
    return reports


def refused(server, target):
    with pytest.raises(CrossquantError) as caught:
        fetch(server, target)
    message = str(caught.value)
    assert message.startswith(f"{server.url}: ")
    return message.removeprefix(f"{server.url}: ")


def begun(part, content=CONTENT[:1000]):
    part.parent.mkdir(parents=True)
    part.write_bytes(content)


def test_a_whole_download(server, target):
    assert fetch(server, target) == FOUR_BLOCKS
    assert target.read_bytes() == CONTENT
    assert "Range" not in server.requests[0]
    assert [path.name for path in target.parent.iterdir()] == ["a.bin"]


def test_an_interrupted_download_is_gone_on_with(server, target, part):
    begun(part)
    reports = fetch(server, target)
    assert [headers["Range"] for headers in server.requests] == ["bytes=1000-"]
    assert target.read_bytes() == CONTENT
    assert reports[0] == (1000 + download.BLOCK, len(CONTENT))
    assert reports[-1] == (len(CONTENT), len(CONTENT))
    assert not part.exists()


def test_a_server_that_knows_no_ranges_starts_anew(server, target, part):
    server.ranges = False
    begun(part, b"old" * 1000)
    assert fetch(server, target) == FOUR_BLOCKS
    assert server.requests[0]["Range"] == "bytes=3000-"
    assert target.read_bytes() == CONTENT


def test_a_connection_cut_in_the_middle_keeps_what_came(server, target, part):
    server.cut_after = 3 * download.BLOCK
    assert refused(server, target) == f"only {server.cut_after} of {len(CONTENT)} bytes came: run again"
    assert not target.exists()
    assert part.read_bytes() == CONTENT[: server.cut_after]
    server.cut_after = None
    fetch(server, target)
    assert server.requests[1]["Range"] == f"bytes={3 * download.BLOCK}-"
    assert target.read_bytes() == CONTENT


def test_an_unknown_length_is_reported_as_zero(server, target):
    server.length = False
    reports = fetch(server, target)
    assert {total for _, total in reports} == {0}
    assert reports[-1][0] == len(CONTENT)
    assert target.read_bytes() == CONTENT


def test_bytes_are_asked_for_as_they_are(server, target):
    """Of a stream that the server compresses on its way, no part could be gone on with."""
    server.compresses = True
    fetch(server, target)
    assert server.requests[0].get("Accept-Encoding") == "identity"
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_refusal_is_named_by_its_number(server, target, part, status):
    server.status = status
    begun(part)
    assert refused(server, target) == f"HTTP {status}"
    assert not target.exists()
    assert part.read_bytes() == CONTENT[:1000]


def test_a_part_that_the_server_does_not_have_is_dropped(server, target, part):
    """The file at this address is another one now, and shorter."""
    begun(part, b"x" * len(CONTENT))
    assert refused(server, target) == "the download began anew in the middle: run again"
    assert not part.exists()
    fetch(server, target)
    assert "Range" not in server.requests[1]
    assert target.read_bytes() == CONTENT


def test_no_connection(server, target):
    server.address = "http://127.0.0.1:1"
    assert refused(server, target) == "no connection"
    assert list(target.parent.iterdir()) == []


def test_no_npm_client(tmp_path, monkeypatch):
    monkeypatch.setattr(download.shutil, "which", lambda *_, **__: None)
    with pytest.raises(CrossquantError) as caught:
        download.download_npm("some@1.0", tmp_path / "some.tgz", lambda *_: None)
    assert str(caught.value) == "some@1.0: no npm client; `make setup` installs one"


@pytest.fixture
def bundles(tmp_path, monkeypatch):
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    secret = tmp_path / "ca"
    monkeypatch.setattr(download, "CA_SECRET", secret)
    return secret


def test_the_usual_authorities_where_the_host_names_none(bundles):
    assert download._bundle() is True
    bundles.touch()
    assert download._bundle() is True


def test_the_authorities_of_the_host_and_of_compose(bundles, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/host.pem")
    assert download._bundle() == "/host.pem"
    bundles.write_text("certificates")
    assert download._bundle() == str(bundles)
    assert download._npm_environment()["NODE_EXTRA_CA_CERTS"] == str(bundles)


def test_a_stream_of_unknown_length_that_is_cut_off_is_not_taken_for_whole(server, target, part):
    """By its chunks the client knows that the last one is lacking."""

    def answer(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"3e8\r\n" + CONTENT[:1000] + b"\r\n" + b"3e8\r\n" + CONTENT[:10])
        handler.close_connection = True

    server.answer = answer
    assert refused(server, target) == "only 1000 bytes came: run again"
    assert not target.exists()
    assert part.read_bytes() == CONTENT[:1000]
