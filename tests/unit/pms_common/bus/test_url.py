"""Redis URLs: every supported form, and errors that name the part and never the password."""

import pytest

from pms_common.bus.url import Endpoint, UrlError, parse


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("redis://localhost", Endpoint(host="localhost")),
        ("redis://10.0.0.1:7000/2", Endpoint(host="10.0.0.1", port=7000, db=2)),
        ("redis://[::1]:7000", Endpoint(host="::1", port=7000)),
        ("redis://:s%40crt@h?db=3", Endpoint(host="h", password="s@crt", db=3)),
        ("redis://risk:pw@h", Endpoint(host="h", username="risk", password="pw")),
        ("rediss://h:1/0?ssl_cert_reqs=none", Endpoint("h", 1, tls=True, tls_options=(("ssl_cert_reqs", "none"),))),
        ("unix:///run/r.sock?db=4", Endpoint(path="/run/r.sock", db=4)),
        ("unix://u:p@/run/r.sock", Endpoint(path="/run/r.sock", username="u", password="p")),
        (
            "redis+sentinel://u:p@a:1,b/main/5?sentinel_password=q",
            Endpoint(
                sentinels=(("a", 1), ("b", 26379)),
                master="main",
                db=5,
                username="u",
                password="p",
                sentinel_password="q",
            ),
        ),
    ],
)
def test_forms(url, endpoint):
    assert parse(url) == endpoint


def test_a_cluster_is_where_the_namespace_has_its_slot():
    nodes = (("a", 7000), ("b", 6379))
    mine = parse("redis+cluster://risk:pw@a:7000,b", "{acct1}pms")
    assert mine == Endpoint(nodes=nodes, slot=4439, username="risk", password="pw")
    assert parse("redis+cluster://a:7000,b", "{acct1}other").slot == mine.slot
    assert parse("rediss+cluster://a:7000,b?ssl_cert_reqs=none", "{acct2}pms") == Endpoint(
        nodes=nodes, slot=8500, tls=True, tls_options=(("ssl_cert_reqs", "none"),)
    )


@pytest.mark.parametrize("namespace", ["", "pms", "{}pms", "{}{acct1}", "pms}{", "a{b"])
def test_a_namespace_without_a_hash_tag_has_no_place_in_a_cluster(namespace):
    with pytest.raises(UrlError, match="hash tag"):
        parse("redis+cluster://a", namespace)


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://h", "scheme"),
        ("redis://h:port", "port"),
        ("redis://h/x", "db"),
        ("redis://h/1?db=2", "twice"),
        ("redis://h?timeout=1", "timeout"),
        ("unix://relative.sock", "absolute path"),
        ("redis+sentinel://a:1", "master"),
        ("redis+sentinel://a:x/main", "sentinel 'a:x'"),
        ("redis+cluster://a,b/1", "no db"),
        ("redis+cluster://a,b", "needs a hash tag"),
    ],
)
def test_errors_name_the_part(url, part):
    with pytest.raises(UrlError, match=part):
        parse(url)


def test_passwords_are_not_shown():
    endpoint = parse("redis+sentinel://u:secret@a/main?sentinel_password=hidden")
    assert "secret" not in repr(endpoint)
    assert "hidden" not in repr(endpoint)
    with pytest.raises(UrlError) as error:
        parse("redis://u:secret@h:port")
    assert "secret" not in str(error.value)
