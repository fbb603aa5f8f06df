"""What of messages is a secret: `[32 bytes]` stands for one of that length. Vocabulary.

Contract: `value_shown` and `target_shown` return what may be written down. A field is secret by its name, a part of a query by the name of its parameter; what else carries a secret nobody can tell.
Time is linear in the text.
"""

from __future__ import annotations

import re

from pcapflow.header_options import Headers

_FIELD = re.compile(
    r"authorization|authentication$|cookies?2?$|[a-z0-9][-_.]key$|key-data$|api[-_]?key|auth[-_]?key|access[-_]?key|private[-_]?key|subscription[-_]?key|token|secret|passw|pass(?:phrase|code)|(?:^|[-_])pass$|(?:^|[-_])pwd$|(?:^|[-_])otp$"
    r"|credential|session|jwt|signature(?:[-_]?256)?$|(?:^|[-_])auth$|registry-config$|art-api$|hmac|(?<!bread)crumb|wp-nonce|^x-(?:sid|pin)$|dockerconfigjson|(?:device|pin)[-_]?code$|(?:^|[-_])ticket$|bearer|[cx]srf|assertion|^dpop$|-oidc-"
    r"|mfa[-_]?code|totp|(?:auth|verification|sms)[-_]?code|sessid|(?:encryption|master|app|ssh|licen[cs]e)[-_]?key$|(?:^|[-_])psk$|(?:^|[-_])creds?$|connection[-_]?string|bindpw|2fa[-_]?code|^(?:x-)?authz$|unseal[-_]?key|(?:^|-)sign$|mnemonic|(?:recovery|seed)[-_]?phrase",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"access-control-|sec-websocket-|www-|proxy-authenticate|(?:idempotency|surrogate|cache|partition|primary|foreign|public|routing|sort|row|map|input|output|result|limit)[-_]key$|(?:input|output)[-_]token$"
    r"|.*[-_](?:endpoint|supported|uri|url|name|type|title|label|text|hint|message|description|placeholder|path|policy|length|count|limit|age|status|enabled|required|expires|expiry|expiration|lifetime|ttl|methods?)s?$"
    r"|.*[a-z](?-i:Endpoint|Name|Type|Title|Label|Hint|Message|Description|Placeholder|Path|Policy|Length|Count|Limit|Status|Enabled|Required|Expires|ExpiresIn|Expiry|Expiration|Lifetime|Ttl|Methods?)s?$"
    r"|(?:forgot(?:ten)?|reset|change|show|hide|lost|remember)[-_]?password$",
    re.IGNORECASE,
)
"""Names that have one of those words and are none."""
_PARAMETER = re.compile(
    r"token|secret|passw|pass(?:phrase|code)|(?:^|[-_.\[])(?:pass|pwd|pw|pin|otp)(?:$|[-_.\]])|(?:api|app|access|private|subscription|encryption|signing|account|shared|master|auth)[-_]?key|^key$|signature|^sig$|credential|session|sessid|^sid$|^jwt$|(?:^|[-_])o?auth(?:$|[-_])"
    r"|authorization|assertion|bearer|[cx]srf|^code$|code_verifier|^ticket$|saml(?:request|response)|^(?:new|old|user|db|my)?pass[0-9]?$|^psw$|(?:^|[-_.\[])totp(?:$|[-_.\]])"
    r"|(?-i:[a-z0-9](?:Pass|Pwd|Pw|Pin|Otp)(?![a-z]))|(?:otp|mfa|auth|verification|recovery|backup|device)[-_]?codes?$|wpnonce$|^form_key$|^pword$"
    r"|^cookies?$|^connect\.sid$|sms[-_]?code|(?:^|[-_])psk$|(?:^|[-_])creds?$|(?:ssh|licen[cs]e|master)[-_]?key$|connection[-_]?string|bindpw|hmac|^sign$|^user[-_]?key$|login[-_]?pw|security[-_]?code|^cvv2?$|wi-?fi[-_]?key",
    re.IGNORECASE,
)
_PART = re.compile(r"([?&;#])([^=&;#?]{1,128})=([^&;#]*)")
_PATH_PART = re.compile(r"(;)([^=;/]{1,128})=([^;/]*)")
_USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]+)@")
_URLS = frozenset(("referer", "location", "content-location", "refresh", "link", "origin"))
"""Fields whose values are, or have, URLs."""


def hidden(secret: str) -> str:
    """What stands for a secret."""
    return f"[{len(secret.encode('utf-8', 'replace'))} bytes]"


def target_shown(target: str) -> str:
    """A request target, or a URL, without the secrets in its query and before its host."""
    if "@" in target:
        target = _USER.sub(lambda user: f"{user[1]}{hidden(user[2])}@", target)
    if "=" not in target:
        return target
    path, mark, query = target.partition("?")
    return (_PATH_PART.sub(_part, path) if ";" in path else path) + _PART.sub(_part, mark + query)


def _part(part: re.Match[str]) -> str:
    return f"{part[1]}{part[2]}={hidden(part[3])}" if part[3] and is_secret_parameter(part[2]) else part[0]


def is_secret_field(name: str) -> bool:
    """Whether a field of that name carries a secret."""
    return _FIELD.search(name) is not None and not _NOT.match(name)


def is_secret_parameter(name: str) -> bool:
    """Whether a part of a query with that name does."""
    if "%" in name:
        from urllib.parse import unquote  # noqa: PLC0415 - few names need it

        name = unquote(name)
    return _PARAMETER.search(name) is not None


_LABELS = frozenset(("key", "code", "pin", "signature", "ticket"))
"""What parts of queries are secrets by, and keys of JSON often are not."""


def is_secret_key(name: str) -> bool:
    """Whether a member of JSON with that key does."""
    return is_secret_field(name) or (name.lower() not in _LABELS and is_secret_parameter(name) and not _NOT.match(name))


def value_shown(name: str, value: str) -> str:
    """A field's value."""
    if is_secret_field(name):
        return hidden(value)
    return target_shown(value) if name.lower() in _URLS else value


def chosen(headers: Headers, fields: list[tuple[str, str]]) -> list[tuple[str, str | None]]:
    """Of a message's fields those that are recorded, as they are."""
    return [
        (name, (value if headers.secrets else value_shown(name, value)) if headers.values else None)
        for name, value in fields
        if headers.names is None or name.lower() in headers.names
    ]
