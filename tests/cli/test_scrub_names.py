"""`slice --scrub`: which names say that a value is secret, in forms, heads, settings and JSON alike; which do not; and what stands beside a value instead of its name."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from pcapflow.bytes_behind_loss import behind_loss
from tests.cli.test_scrub_settings import after
from tests.cli.test_scrub_spares import scrubbed
from tests.craft import Talk, request, response

KEY = "36a23e238e3b1c77fc4c011f1bd38f1f"
SECRET = "velvet-mango-17"


@pytest.mark.parametrize(
    "name",
    [
        "service_key", "storage_key", "admin_key", "client_key", "application_key", "deploy_key", "functionKey", "writeKey", "STRIPE_KEY",
        "SUPABASE_SERVICE_ROLE_KEY", "UNSEAL_KEY", "MNEMONIC", "CRUMB", "HASH_SALT", "Jenkins-Crumb", "sesskey", "passhash", "session_token",
    ],
)  # fmt: skip
def test_a_name_is_one_of_a_secret_wherever_it_stands(name: str) -> None:
    for text in (
        json.dumps({name: KEY}),
        f"GET /x?a=1&{name}={KEY} HTTP/1.1\r\n",
        f"a=1&{name}={KEY}&b=2",
        f"A=1\n{name}={KEY}\nB=2\n",
        f'A=1\n{name}="{KEY}"\nB=2\n',
        f"a: 1\n{name}: {KEY}\nb: 2\n",
    ):
        assert after(text) == text.replace(KEY, "*" * len(KEY))


@pytest.mark.parametrize("name", ["sort_key", "primary_key", "cacheKey", "public_key", "objectKey", "foreign_key", "translationKey"])
def test_a_key_that_opens_nothing_is_left(name: str) -> None:
    for text in (json.dumps({name: "name"}), f"?a=1&{name}=name", json.dumps({name: "a/b/2023-photo1.jpg"}), f"?a=1&{name}={KEY}"):
        assert after(text) == text


def test_a_key_of_a_query_that_is_a_word_is_left() -> None:
    assert after("?a=1&group_key=team-of-people&user_key_name=x") == "?a=1&group_key=team-of-people&user_key_name=x"


@pytest.mark.parametrize(
    "text",
    [
        '{"client_id":"Iv1","client_secret":"a","code":"6a1cdf8349d61655652d"}',
        '{"grant_type":"authorization_code","code":"6a1cdf8349d61655652d"}',
        '{"provider":"github","code":"6a1cdf8349d61655652d","state":"s"}',
        '{"code":"492817"}',
        '{"email":"a@b.c","code":"492817"}',
        '{"pin":"7923"}',
    ],
)
def test_the_code_of_a_login_is_masked(text: str) -> None:
    for secret in ("6a1cdf8349d61655652d", "492817", "7923"):
        assert secret not in after(text)


@pytest.mark.parametrize(
    "text",
    ['{"code":"NOT_FOUND","message":"x"}', '{"code":"4041","message":"x"}', '{"code":"EUR"}', '{"code":"USD","name":"Dollar"}', '{"pin":"A4"}', '{"code":"10115","city":"Berlin"}'],
)  # fmt: skip
def test_another_code_is_left(text: str) -> None:
    assert after(text) == text


@pytest.mark.parametrize(
    "text",
    [
        '{"attributes":[{"key":"db.password","value":{"stringValue":"%s"}}]}',
        '[{"op":"replace","path":"/auth/password","value":"%s"}]',
        '{"query_string":[["token","%s"]]}',
        '{"Name":"/prod/db/pg","Value":"%s","Type":"SecureString"}',
        '{"values":[{"key":"myvar","value":"%s","type":"secret"}]}',
        '{"value":"%s","name":"API_TOKEN"}',
        '{"args":["--password","%s"]}',
        '<bean><property name="password"><value>%s</value></property></bean>',
        "<pre>password=&#x27;%s&#x27;; x = 1</pre>",
        "<pre>api_key = &quot;%s&quot;</pre>",
        "?u=https%%3A%%2F%%2Fx%%2F%%3Fr%%3D%%252Fcb%%253Faccess_token%%253D%s",
        "?next=/cb?access_token=%s&a=1",
        "GET /accounts/reset/MQ/c0ffee-0123456789abcdef-%s/ HTTP/1.1",
        '{"api_key":"a","encoded":"dTE6cDI6%sdTE6cDI6"}',
        "text=Reset%%3A+https%%3A%%2F%%2Fa.example%%2Freset-password%%2Fc0ffee-0123456789abcdef-%s&x=1",
        "u=https%%3A%%2F%%2Fhooks.slack.com%%2Fservices%%2FT04ABCDEF12%%2FB05ABCDEF34%%2Fq9Lm2QweR7tZk3Jf%s&x=1",
        "see https://a.example/reset-password/PzRB3Lo--tvHRlTl-%s now",
    ],
)
def test_what_stands_beside_a_value_says_that_it_is_secret(text: str) -> None:
    assert SECRET not in after(text % SECRET)


def test_a_part_whose_name_is_cut_is_masked_behind_a_loss() -> None:
    data = b'word"\r\nContent-Type: text/plain\r\n\r\n' + SECRET.encode() + b"\r\n--b--\r\n"
    assert behind_loss(data) == data.index(SECRET.encode()) + len(SECRET)


@pytest.mark.parametrize("first", ["bearer", "access_token"])
def test_a_token_among_the_names_of_protocols_is_masked(first: str) -> None:
    field = f"Sec-WebSocket-Protocol: {first}, {KEY}\r\n"
    assert after(field) == field.replace(KEY, "*" * len(KEY))
    plain = "Sec-WebSocket-Protocol: v4.channel.k8s.io, graphql-transport-ws, v12.stomp\r\n"
    assert after(plain) == plain


@pytest.mark.parametrize(
    "text",
    [
        '<meta name="_csrf_header" content="X-CSRF-TOKEN"/>',
        '{"crumbRequestField":"Jenkins-Crumb"}',
        '{"paths":{"/token":{"post":{"summary":"Login For Access Token"}},"/session":{"get":{"parameters":[{"name":"x","in":"header"}]}}}}',
        '{"schemas":{"Body_login_token_post":{"properties":{"scope":{"type":"string"}},"type":"object","required":["username","password"]}}}',
        '{"Token":{"properties":{"access_token":{"type":"string","title":"Access Token"}},"type":"object"}}',
        '{"analyzer":{"my":{"tokenizer":"standard"}}}',
        '<input type="submit" name="set-password" value="Change password">',
        '<div id="id_password2_helptext"><div>Enter the same password as before.</div></div>',
        '<h2 id="token">Token</h2>',
        '<label for="password">Password</label>',
        '{"password":["This field is required."]}',
        '{"SecretId":"prod/db/plain"}',
        '{"CustomerMasterKeySpec":"SYMMETRIC_DEFAULT"}',
        "a=1&token_type_hint=access_token",
        '{"check_session_iframe":"https://idp/check"}',
        '{"required":["password","email"]}',
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "GET /help/reset-password/how-to-do-it-in-the-app HTTP/1.1",
        "GET /activate/Windows-10-Professional-Edition HTTP/1.1",
        "a=1&oauth_callback_confirmed=true",
        '--a\r\nContent-Disposition: form-data; name="key"\r\n\r\nuploads/photo-1.jpg\r\n--a--',
        "<tr><td>Password</td><td>at least eight letters</td></tr>",
        "os.getenv('HOME', '/root')",
        "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-SignedHeaders=host",
    ],
)
def test_names_schemas_and_sentences_are_left(text: str) -> None:
    assert after(text) == text


DIGEST = (
    'Digest username="alice", realm="r", nonce="99887766554433221100aabbccddeeff", uri="/a", response="6629fae49393a05397450978507c4ef1"'
)
AWS = (
    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20231114/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-checksum-crc32, Signature="
    + KEY * 2
)
OAUTH = 'OAuth oauth_consumer_key="xvz1evFS4wEEPTGEFPHBog", oauth_nonce="abc", oauth_signature="tnnArxj06cWHq44gCs1OSKk"'


@pytest.mark.parametrize(
    ("credentials", "secret", "left"),
    [
        (DIGEST, "6629fae49393a05397450978507c4ef1", ["username=bob", "realm=r"]),
        (AWS, KEY * 2, ["AWS4-HMAC-SHA256", "x-amz-content-sha256: ", "x-amz-checksum-crc32: "]),
        (OAUTH, "tnnArxj06cWHq44gCs1OSKk", ["oauth_consumer_key="]),
    ],
)
def test_of_credentials_in_several_parts_the_secret_ones_are_looked_for(
    credentials: str, secret: str, left: list[str], tmp_path: Path
) -> None:
    t = Talk().open()
    t.send(0, request("/a", fields=f"Authorization: {credentials}\r\n")).send(1, response(json.dumps({"seen": secret}).encode()))
    t.send(0, request("/b", fields="".join(f"X-Say-{i}: {one}\r\n" for i, one in enumerate(left)))).send(1, response(b"{}"))
    scrubbed(t.close(), tmp_path)
    data = (tmp_path / "s.pcap").read_bytes()
    assert secret.encode() not in data
    assert credentials[len(credentials.split(maxsplit=1)[0]) + 1 :].encode() not in data
    assert all(one.encode() in data for one in left)


def test_basic_credentials_with_padding_are_found_in_a_text() -> None:
    plain = base64.b64encode(b"ann:" + SECRET.encode()).decode()
    assert plain not in after(f'{{"m":"Authorization: Basic {plain}"}}')
