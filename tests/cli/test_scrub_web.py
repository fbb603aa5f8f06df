"""`slice --scrub` of pages and interfaces as they are: forms, scripts, XML, cut or whole; ordinary values that look like secrets are left, and messages are read as before."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pcapflow.budget import Ledger
from pcapflow.findings.masking import Masking
from pcapflow.findings.scanning import Scanner
from pcapflow.known_values import variants
from pcapflow.limits import Limits
from pcapflow.secret_bytes import secrets_in
from pcapflow.secret_kinds import OPEN
from tests.cli.test_scrub import pcapflow
from tests.cli.test_scrub_spares import outline, scrubbed
from tests.craft import Talk, request, response

SECRET = b"V8sec1234-ret0000"


def masked_in(text: bytes) -> set[bytes]:
    return {text[begin:end] for begin, end, kind in secrets_in(text) if kind != OPEN and end > begin}


@pytest.mark.parametrize(
    "text",
    [
        b'<input type="hidden" name="csrf_token" value="%s',
        b"<meta name='csrf-token' content='%s",
        b"<password>%s",
        b"<password>%s</password>",
        b"<ns:password><![CDATA[%s]]></ns:password>",
        b"{'password': '%s'}",
        b"headers['X-Api-Key'] = '%s';",
        b'settings["apiKey"] = "%s";',
        b"const apiKey = `%s`;",
        b'mutation { login(password: """%s""") { id } }',
        b'--B\r\nContent-Disposition: form-data; name="password"\r\n\r\n%s\r\n--B',
        b'form-data; name="password"\r\nContent-Type: text/plain\r\n\r\n%s\r\n--B',
        b"localStorage.setItem('token', '%s')",
        b'headers.append("X-Auth-Token","%s");',
        b"'password': %s\n",
        b'  "api-key": %s\nnext: a',
        b"password: |\n  %s\nuser: a",
        b"  client_secret: >-\n    first line\n    %s\n  other: b",
        b"X-Ticket: %s\r\n",
        b'{"query":"mutation{login(password:\\"\\"\\"%s\\"\\"\\")}"}',
        b"GET / HTTP/1.1\nHost: a\nAuthorization: Bearer\n %s\n\n",
        b"Content-Disposition: form-data; name*=UTF-8''password\r\n\r\n%s\r\n--B",
        b'Content-Disposition: form-data;\r\n name="password"\r\n\r\n%s\r\n--B',
        b'Content-Disposition: form-data; name = "password"\r\n' + b"A: b\r\n" * 8 + b"\r\n%s\r\n--B",
        b"pem=-----BEGIN+PRIVATE+KEY-----\n%s\n-----END",
        b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n%s\n-----END",
        b"-   password: %s\n",
        b"- - password: %s\n",
        b"password: | # comment\n\n  %s\n",
        b"- name: DB_PASSWORD\n  value: %s\n",
        b'{"name":"DB_PASSWORD","value":"%s"}',
        b'["Authorization","%s"]',
        b'<property name="password">%s</property>',
        b'<entry key="password">%s</entry>',
        b'<textarea name="private_key">%s</textarea>',
        b'<button name="token" value="%s">',
        b'<input type="password" name="p" value="%s">',
        b'<input data-x="a>b" name="token" value="%s">',
        b"<password> <![CDATA[%s]]></password>",
        b"&#x22;token&#x22;:&#x22;%s&#x22;",
        b"curl -H 'X-Api-Key: %s'",
        b'see "Authorization: Bearer %s" for',
        b"export TOKEN=%s\n",
        b'{"session":{"id":"%s","title":"Words of a session"}}',
        b"X-MFA-Code: %s\r\n",
        b'{"sshKey":"%s"}',
        b"?connect.sid=%s&a=b",
    ],
)
def test_a_secret_of_a_page_or_a_script_is_found_where_its_end_is_missing_too(text: bytes) -> None:
    assert any(SECRET in one for one in masked_in(text % SECRET))
    assert all(len(one) < len(SECRET) + 10 for one in masked_in(text % SECRET)), "and nothing around it"


@pytest.mark.parametrize(
    "text",
    [
        b'<input type="hidden" name="SAMLResponse" value="%s"/>',
        b'<input type="hidden" value="%s" name="SAMLResponse"/>',
        b"<a><wsse:BinarySecurityToken>%s</wsse:BinarySecurityToken></a>",
        b"<password " + b'xmlns:a="b" ' * 60 + b">%s</password>",
        b"var token='%s'",
        b"localStorage.setItem('token', '%s')",
        b"-----BEGIN PRIVATE KEY-----%s-----END PRIVATE KEY-----",
        b'{"a":"{\\"token\\":\\"%s\\"}"}',
    ],
)
@pytest.mark.parametrize("size", [3000, 40_000])
def test_a_secret_of_any_length_is_masked_whole(text: bytes, size: int) -> None:
    secret = bytes(random.Random(size).choices(b"abcdefghijABCDEFGHIJ0123456789+/", k=size))
    assert secret in masked_in(text % secret)
    scanner = Scanner(Masking((), Ledger(Limits())))
    found = [place for at in range(0, size + 2000, 1000) for place in scanner.feed((text % secret)[at : at + 1000])] + scanner.flush()
    begin = text.index(b"%s")
    assert set(range(begin, begin + size)) <= {at for low, high, _ in found for at in range(low, high)}


@pytest.mark.parametrize(
    "text",
    [
        b'<meta name="csrf-param" content="authenticity">\n<title>x</title>\n\n<p>' + b"text " * 40,
        b'<input type="password" name="password">\n</form>\n\n<p>' + b"text " * 40,
        b'<xs:element name="password"/>\n<xs:element name="b"/>\n\n' + b"text " * 40,
        b'{"breadcrumbs": ["Home and garden", "Tools for both"]}',
        b'{"pagination": {"input_token": "NextToken", "output_token": "NextToken", "result_key": "Items", "limit_key": "Limit"}}',
        b'{\n  "token": null,\n  "password": true\n}',
        b"document.setTitle('password', x)",
        b'{"label":"Password:","type":"text","n":1}',
        b'["User:","Password:"]',
        b'["?token=", "a"]',
        b'{"hint":"Authorization: Bearer <token>","n":1}',
        b'{"usage":"login <password>","n":1}',
        b'"x":"&quot;token&quot;:&quot;","n":2',
        b'"text mentions -----BEGIN PRIVATE KEY-----","n":1',
        b'{\n "tokens": 12 \n}',
        b"?q=How+to+install+Python+3+on+Debian&image=Products/Large/IMG_2024_01.jpg&file=Annual-Report-2024.Final.pdf&v=com.example.App-1.2.3-RELEASE",
        b'{"password":{"type":"string","minLength":8,"description":"the word"}}',
        b'{"token":{"$ref":"#/components/schemas/AccessToken"}}',
        b'{"token_endpoint":"https://x.example/oauth/token","token_endpoint_auth_methods_supported":["a_b_c"]}',
        b'{"secretName":"web-config"}',
        b'{"session":{"title":"A day","date":"2026-11-27T15:00:00Z","host":"a.example"}}',
        b'{"forgot_password":"Did you forget it?"}',
        b"  accessToken: undefined,\n  session: getSession(),\n  token: string;",
        b"text: |\n  password of all\nuser: a",
    ],
)
def test_the_text_behind_the_name_of_a_secret_is_left(text: bytes) -> None:
    assert masked_in(text) == set()


@pytest.mark.parametrize(
    ("value", "elsewhere"),
    [(b"%22customer-100%22", b'"customer-100"'), (b"%5B%22user%22%2C42%5D", b'["user",42]'), (b'{"theme":"dark","n":1}', b'{"theme":"dark","n":1}'), (b"401 Unauthorized", b"401 Unauthorized"), (b"application", b"application"), (b"text/event-stream", b"text/event-stream"), (b"application/json; charset=utf-8", b"application/json; charset=utf-8"), (b"Content-Encoding", b"Content-Encoding"), (b"same-origin", b"same-origin"), (b"/api/v1/orders/list", b"/api/v1/orders/list"), (b"https://www.example.com/", b"https://www.example.com/")],
)  # fmt: skip
def test_what_json_and_heads_are_made_of_is_no_value_to_look_for(value: bytes, elsewhere: bytes) -> None:
    assert elsewhere not in variants(value)


@pytest.mark.parametrize("value", ["52.5200066", "-0.12775834", "1700000000.123", "1.5e+30012"])
def test_json_with_a_number_that_a_cookie_has_too_is_read_as_before(value: str, tmp_path: Path) -> None:
    t = Talk().open()
    t.send(0, request("/a", fields=f"Cookie: lat={value}\r\n")).send(1, response(b'{"lat": %s}' % value.encode()))
    before, after, _ = scrubbed(t.close(), tmp_path)
    assert value.encode() not in (tmp_path / "s.pcap").read_bytes()
    assert [one["response"]["body"]["json"]["status"] for one in after] == ["complete"]
    assert [one["response"]["body"]["json"]["events"] for one in after] == [one["response"]["body"]["json"]["events"] for one in before]


def test_a_view_s_key_in_a_query_and_in_its_answer_leaves_json(tmp_path: Path) -> None:
    t = Talk().open()
    t.send(0, request("/db/_view/v?key=%22customer-100%22")).send(1, response(b'{"rows": [{"key":"customer-100","value":1}]}'))
    _, after, _ = scrubbed(t.close(), tmp_path)
    assert [one["response"]["body"]["json"]["status"] for one in after] == ["complete"]
    assert b"customer-100" not in (tmp_path / "s.pcap").read_bytes()


def test_the_rest_of_a_field_behind_a_loss_is_not_looked_for_in_other_heads(tmp_path: Path) -> None:
    lossy, clean = Talk(sport=40001).open(), Talk(sport=40002).open()
    answer = response(b'{"a": 1}', fields="X-Long: " + "b" * 200 + "\r\nCache-Control: no-store, max-age=0\r\n")
    at = answer.index(b"he-Control")
    lossy.send(0, request("/lossy")).send(1, answer[:60]).send(1, answer[60:at], keep=False).acknowledge(0).send(1, answer[at:])
    clean.us = lossy.us + 10
    for i in range(3):
        clean.send(0, request(f"/{i}")).send(1, answer)
    frames = lossy.close().frames + clean.close().frames
    both = Talk()
    both.frames = sorted(frames, key=lambda frame: frame[0])
    both.save(tmp_path / "x.pcap")
    pcapflow("slice", tmp_path / "x.pcap", "--where", "path=/*", "-o", tmp_path / "s.pcap", "--scrub")
    assert (tmp_path / "s.pcap").read_bytes().count(b"Cache-Control: no-store, max-age=0") == 3


def test_a_health_check_that_quotes_a_status_leaves_status_lines(tmp_path: Path) -> None:
    t = Talk().open()
    t.send(0, request("/health")).send(1, response(b'{"credentials": "401 Unauthorized"}'))
    t.send(0, request("/x")).send(1, response(b"{}", status="401 Unauthorized"))
    before, after, _ = scrubbed(t.close(), tmp_path)
    assert outline(after) == outline(before)


def test_a_value_of_a_page_is_known_as_it_is_without_its_escapes() -> None:
    assert b"a&b<c>d'e-12345" in variants(b"a&amp;b&lt;c&gt;d&#39;e-12345")


def test_what_stands_in_an_encoded_value_of_a_cookie_is_masked_elsewhere(tmp_path: Path) -> None:
    t = Talk().open()
    cookie = "%7B%22user%22%3A%22ann%22%2C%22token%22%3A%22Zk39-secret-81%22%7D"
    t.send(0, request("/a", fields=f"Cookie: state={cookie}\r\n")).send(1, response(b'{"seen": "Zk39-secret-81"}'))
    scrubbed(t.close(), tmp_path)
    assert b"Zk39-secret-81" not in (tmp_path / "s.pcap").read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        b'{"ParameterKey": "DBPassword", "ParameterValue": "%s"}',
        b'{"kty":"RSA","d":"%s"}',
        b"'password' => '%s'",
        b'"password" => "%s"',
        b'define("DB_PASSWORD", "%s");',
        b'{"cmd":"mysql --password=%s db"}',
        b'{"log":"GET / HTTP/1.1\\r\\nAuthorization: Bearer %s\\r\\n"}',
        b"password = %s\n",
        b"<Tag><Key>password</Key><Value>%s</Value></Tag>",
        b"<key>password</key><string>%s</string>",
        b"<member><name>password</name><value><string>%s</string></value></member>",
        b'<property name="password" value="%s"/>',
        b"https://hooks.slack.com/services/T00000000/B00000000/%s",
        b'{"auth":{"user":"ann","value":"%s"}}',
    ],
)
def test_a_secret_is_told_by_the_name_beside_it(text: bytes) -> None:
    secret = b"V8sec1234ret00001234"
    assert any(secret in one for one in masked_in(text % secret))


@pytest.mark.parametrize(
    "text", [b"token = getToken();\n", b'{"a": "b", "d": "a value of some length that is none"}', b"if (token == null) {\n"]
)
def test_a_name_of_a_script_is_no_setting(text: bytes) -> None:
    assert masked_in(text) == set()


@pytest.mark.parametrize("value", [b"application%2Fjson%3B+charset%3Dutf-8", b"same%2Dorigin"])
def test_what_stands_in_every_capture_is_none_in_another_spelling_either(value: bytes) -> None:
    assert variants(value) == set()
