"""`slice --scrub` of settings, logs and programs, whether they are bodies or strings of JSON: a value goes on to where its reader ends it, whatever is in it; code is left."""

from __future__ import annotations

import json
import random
import string
from itertools import pairwise
from pathlib import Path

import pytest

from pcapflow.budget import Ledger
from pcapflow.findings.masking import Masking
from pcapflow.findings.scanning import Scanner
from pcapflow.limits import Limits
from pcapflow.secret_bytes import secrets_in
from pcapflow.secret_kinds import OPEN
from pcapflow.secret_strings import texts_within
from tests.cli.test_scrub_spares import outline, scrubbed
from tests.craft import Talk, request, response

SECRET = "velvet-mango-17"


def after(text: bytes | str) -> str:
    """A text with each byte of a secret as `*`."""
    plain = text.encode() if isinstance(text, str) else text
    masked = bytearray(plain)
    for begin, end, kind in secrets_in(plain):
        if kind != OPEN:
            masked[begin:end] = b"*" * (end - begin)
    return masked.decode("latin-1")


LINES = [
    "DB_HOST=a\nDB_PASSWORD=%s\nX=1\n",
    "db.url=a\ndb.password=%s\n",
    "[db]\nuser = a\npassword = %s\n",
    "db:\n  user: a\n  password: %s\n",
    "export TOKEN=%s\n",
    "FROM a\nENV SECRET_KEY=%s DEBUG=0\n",
    "ENV SECRET_KEY %s\n",
    "ARG API_TOKEN=%s\n",
    "environment:\n  - DEBUG=1\n  - POSTGRES_PASSWORD=%s\n",
    '  - "POSTGRES_PASSWORD=%s"\n',
    "> GET /\n> Cookie: sid=%s\n",
    "+  password: %s\n",
    "-API_KEY=%s\n",
    "level=info user=bob password=%s dur=3ms\n",
    "password=%s user=bob\n",
    "host=db user=shop password=%s dbname=shop",
    "LoginRequest(username=bob, password=%s)",
    "User{name=bob, token=%s}",
    "mysql --password=%s shop",
    "run --api-key %s --fast",
    "machine a.example login ann password %s\n",
    "define('AUTH_KEY',          '%s');\n",
    "'api_key' => env('API_KEY', '%s'),\n",
    "redis-server --port 1 --requirepass %s\n",
    "docker login -u bob -p %s registry.example\n",
    "curl -s -u bob:%s https://a.example\n",
    "curl --user 'bob:a %s b' https://a.example\n",
    "<tr><td class='e'>DB_PASSWORD </td><td class='v'>%s </td></tr>",
    'os.environ["API_KEY"]="%s"\n',
    "env:\n- value: %s\n  name: API_TOKEN\n",
    "redis://:Ab#%s@h/0",
]


@pytest.mark.parametrize("text", LINES)
def test_a_setting_is_masked_in_a_text_and_in_a_string_of_json(text: str) -> None:
    whole = text % SECRET
    for given in (whole, json.dumps({"file": whole}), json.dumps({"a": json.dumps({"file": whole})})):
        assert SECRET not in after(given)
        assert after(given).count("*") <= len(SECRET) + len(":Ab#"), "and nothing around it"


ALPHABETS = {
    "django": string.ascii_lowercase + string.digits + "!@#$%^&*(-_=+)",
    "punctuation": string.ascii_letters + string.digits + string.punctuation,
}
FORMS = {
    "environment": lambda one: f"A=1\nDB_PASSWORD={one}\nB=2\n",
    "environment in JSON": lambda one: json.dumps({"f": f"A=1\nDB_PASSWORD={one}\nB=2\n"}),
    "list in JSON": lambda one: json.dumps({"Env": ["A=1", f"DB_PASSWORD={one}"]}),
    "ini": lambda one: f"[db]\nuser = a\npassword = x{one}\nx = 2\n",
    "yaml": lambda one: f"db:\n  user: a\n  password: x{one}\n  x: 1\n",
    "yaml in quotes": lambda one: "db:\n  user: a\n  password: '" + one.replace("'", "''") + "'\n  x: 1\n",
    "python": lambda one: f"USER = 'a'\nPASSWORD = {one!r}\nX = 1\n",
    "script": lambda one: 'var c={user:"a",password:' + json.dumps(one) + ",x:1};",
    "graphql": lambda one: json.dumps({"query": 'mutation{login(user:"a",password:' + json.dumps(one) + "){id}}"}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_a_password_of_any_characters_is_masked_to_its_end(form: str, alphabet: str) -> None:
    rng = random.Random(alphabet)
    left = []
    for _ in range(200):
        one = "".join(rng.choices(ALPHABETS[alphabet], k=24))
        masked = after(FORMS[form](one))
        if any(one[i : i + 7] in masked or json.dumps(one[i : i + 7])[1:-1] in masked for i in range(len(one) - 6)):
            left.append(one)
    assert len(left) <= 2 * (form in ("ini", "yaml")), left  # one in a hundred ends as a call does, or a list


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("spring.mail.password=abcd efgh ijkl mnop\n", "abcd efgh ijkl mnop"),
        ("WALLET_PASSPHRASE=correct horse battery staple\n", "correct horse battery staple"),
        ("DB_PASSWORD=#begins-so\n", "#begins-so"),
        ("DB_PASSWORD=&begins-so\n", "&begins-so"),
        ("DB_PASSWORD==begins-so\n", "=begins-so"),
        ("password = Abc(x-y-z\n", "Abc(x-y-z"),
        ("password = {x-y-z\n", "{x-y-z"),
        ("password = <x-y-z\n", "<x-y-z"),
        ("db:\n  user: x\n  password: Abc(x-y-z)\n", "Abc(x-y-z)"),
        ("db:\n  user: x\n  password: x-y-z{\n", "x-y-z{"),
        ("db:\n  user: x\n  password: (x-y-z\n", "(x-y-z"),
        ("var password = 'Ab\\'x-y-z';", "Ab\\'x-y-z"),
        ('var password = "Ab\\"x-y-z";', 'Ab\\"x-y-z'),
        ('password = ")x-y-z"\n', ")x-y-z"),
        ("GET /l?user=b&password=Ab;c'd\"x-y-z&x=1 HTTP/1.1\r\n", "Ab;c'd\"x-y-z"),
        ('{"Env":["DB_PASSWORD=Ab&#;x \\"y\\" z","X=1"]}', 'Ab&#;x \\"y\\" z'),
    ],
)
def test_a_value_goes_on_to_where_its_reader_ends_it(text: str, secret: str) -> None:
    assert after(text) == text.replace(secret, "*" * len(secret))


@pytest.mark.parametrize(
    "text",
    [
        "password=abc&x=1",
        '{"body":"password=abc&x=1"}',
        "\r\n\r\npassword=abc&x=1POST /b HTTP/1.1\r\nHost: a\r\n",
    ],
)
def test_a_field_of_a_form_ends_with_it(text: str) -> None:
    assert after(text) == text.replace("abc", "***")


@pytest.mark.parametrize(
    "text",
    [
        ".token:hover { color: red }\n",
        "#password:focus{outline:0}\n",
        "input.password:invalid { }\n",
        "  token: string | null;\n",
        "type User {\n  name: String!\n  password: String\n  token: AuthToken!\n}\n",
        "interface A {\n  name: string\n  password: string\n  session?: Session\n}\n",
        "const a = {\n  token: this.token,\n  session: req.session,\n  password\n}\n",
        "  password: Joi.string().min(8).required(),\n",
        '  token: localStorage.getItem("token"),\n',
        "function f(password: string, token: string): void {\n",
        "    password: str = Field(..., min_length=8)\n",
        "Password: Enter the password of your account.\n",
        "if (token == null) {\n",
        "if token == x:\n    token = None\n    password = forms.CharField(widget=forms.PasswordInput)\n",
        "  const token = await getToken();\n",
        "self.password = password\n",
        "this.token = token;\n",
        "login(user=user, password=password)",
        "password=${DB_PASSWORD}\n",
        "TOKEN=$(cat /run/x)\n",
        "  TOKEN: ${{ secrets.TOKEN }}\n",
        "password: <password>\n",
        "token=None, password=None",
        "PASSWORD_FILE=/run/secrets/password\n",
        "tokens = text.split()\n",
        "key = event.key\n",
        "let tokens=[],a=1",
        "a=1;mcookie=util.readCookie(x);b=a.substring(1);document.cookie=b+c;",
        "if(p){document.cookie=m+n}\n  document.cookie = name+'='+val+expires;\n",
        "aC=/^(.*?):[ ]$/mg,aY=/^(?:color|password|week)$/i,aL=/^(?:about|app)$/",
        "util.setCookies=function(){var a=1;b(a)}\n",
        "token=a.b(c);d(token)\n",
        '"?token=" + token + "&x=1"',
        '{"help":"Password:\\nEnter the password of your account."}',
    ],
)
def test_code_and_sentences_are_left(text: str) -> None:
    assert after(text) == text


def test_an_escape_is_masked_whole_or_not_at_all() -> None:
    text = '{"a":"x\\nTOKEN=ab\\u00e9\\"c\\ny","n":"\\u0041"}'
    assert after(text) == '{"a":"x\\nTOKEN=***********\\ny","n":"\\u0041"}'


def test_each_byte_of_a_string_is_of_one_text() -> None:
    for unit in (b'\\"', b"\\n", b'"', b'"a=\\n', b'\\\\"'):
        data = unit * 4000
        texts = list(texts_within(data))
        assert sum(len(one.text) for one in texts) <= len(data)
        spans = [(one.at(0), one.at(len(one.text))) for one in texts]
        assert all(before[1] <= behind[0] for before, behind in pairwise(spans))


def test_what_a_file_in_a_string_says_is_masked_elsewhere_and_json_stays(tmp_path: Path) -> None:
    t = Talk().open()
    file = json.dumps({"data": {"app.conf": f'A=1\nDB_PASSWORD={SECRET}"#9\nB=2\n'}}).encode()
    t.send(0, request("/a")).send(1, response(file))
    t.send(0, request("/b")).send(1, response(json.dumps({"log": f'tried {SECRET}"#9'}).encode()))
    before, behind, _ = scrubbed(t.close(), tmp_path)
    assert SECRET.encode() not in (tmp_path / "s.pcap").read_bytes()
    assert outline(behind) == outline(before)
    assert [one["response"]["body"]["json"]["status"] for one in behind] == ["complete"] * 2


@pytest.mark.parametrize("before", [0, 100, 14_000, 20_000, 24_500])
def test_a_setting_in_a_long_string_is_masked_to_the_end_of_its_line(before: int) -> None:
    for size in (15, 20_000):
        secret = "ab1." * (size // 4)
        text = json.dumps({"a": "line\n" * (before // 6) + f"TOKEN={secret}\n" + "line\n" * 5000}).encode()
        scanner = Scanner(Masking((), Ledger(Limits())))
        places = [place for at in range(0, len(text), 1000) for place in scanner.feed(text[at : at + 1000])] + scanner.flush()
        masked = {at for begin, end, _ in places for at in range(begin, end)}
        begin = text.index(secret.encode())
        assert masked == set(range(begin, begin + len(secret)))


@pytest.mark.parametrize(
    "text",
    [
        "password=a" + " " * 300 + "%s\nnext\n",
        "user=a   password=%s   host=b\n",
        "az login az login --tenant x -p %s\n",
        "curl -H 'A: b' https://a.example -u bob:%s -v\n",
    ],
)
def test_runs_before_and_behind_a_value_change_nothing(text: str) -> None:
    masked = after(text % SECRET)
    assert SECRET not in masked
    assert masked.endswith(text.rpartition("%s")[2])


@pytest.mark.parametrize(
    "text", ["make -p 12345678\n", "ssh -u bob:x1y2z3w4\n", "a curl; then\nbob -u bob:x1y2z3w4\n", "docker run -p 8080:80 web\n"]
)
def test_options_of_other_programs_are_left(text: str) -> None:
    assert after(text) == text
