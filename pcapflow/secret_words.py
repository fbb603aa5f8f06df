"""Names of what carries a secret. Vocabulary of `redaction`.

A module of its own, which is loaded where something is to be told by a name: to compile the words takes a fiftieth of the start of a run, and one that only counts tells nothing.
"""

from __future__ import annotations

import re

FIELD = re.compile(
    r"authorization|authentication$|cookies?2?$|key-data$|api[-_]?key|auth[-_]?key|access[-_]?key|private[-_]?key|subscription[-_]?key|token(?!i[sz])|secret|passw|pass(?:phrase|code)|(?:^|[-_])pass$|(?:^|[-_])pwd$|(?:^|[-_])otp$"
    r"|credential|session|jwt|signature(?:[-_]?256)?$|(?:^|[-_])auth$|registry-config$|art-api$|hmac|(?<!bread)crumb|wp-nonce|^x-(?:sid|pin)$|dockerconfigjson|(?:device|pin)[-_]?code$|(?:^|[-_])ticket$|bearer|[cx]srf|assertion|^dpop$|-oidc-"
    r"|mfa[-_]?code|totp|(?:auth|verification|sms)[-_]?code|sessid|(?:encryption|master|app|ssh|licen[cs]e)[-_]?key$|(?:^|[-_])psk$|(?:^|[-_])creds?$|connection[-_]?string|bindpw|require-?pass$|master-?auth$|2fa[-_]?code|^(?:x-)?authz$|unseal[-_]?key|(?:^|-)sign$|mnemonic|(?:recovery|seed)[-_]?phrase|sesskey$|pass(?:wd|word)?[-_]?hash$|(?<=[a-z0-9])[-_.]salt$|(?-i:[a-z]Salt$)",
    re.IGNORECASE,
)
"""Fields of messages."""
ANY_KEY = re.compile(r"[a-z0-9](?:[-_]|(?<=[a-z0-9]{2})\.)key$", re.IGNORECASE)
"""Fields, and keys of JSON, are secret by it; parts of queries where the value looks like no word too."""
MAY_BE_KEY = re.compile(r"[a-z0-9][-_.]?key$", re.IGNORECASE)
NO_KEY = re.compile(
    r"(?:idempotency|surrogate|cache|partition|primary|foreign|public|routing|sort|row|map|input|output|result|limit|object|item|group|content|dedup[a-z]*|job|issue|project|index|data|file|image|media|asset|document|page"
    r"|record|resource|entity|event|message|translation|i18n|lang(?:uage)?|label|parent|child|unique|hash|range|order|column|field|property|attribute|search|query|lookup|config|option|setting|feature|flag|hot|short|arrow"
    r"|chunk|bucket|blob|build|commit|tag|composite|business|natural|display|react|node|tree|version|type|name)[-_.]?key$",
    re.IGNORECASE,
)
"""Names of keys that open nothing."""
_SUFFIXES = (
    "endpoint|supported|uri|url|name|type|title|label|text|hint|message|description|placeholder|path|policy|length|count|limit|age|status|enabled|required|expires|expiry|expiration|lifetime|ttl|method"
    "|iframe|version|timestamp|algorithm|alg|scope|strength|error|help|helptext|feedback|file|filename|dir|prefix|format|regex|pattern|driver|provider|class|handler|middleware|strategy|store|validator|rule|hasher"
)
_CAMEL = (
    "Endpoint|Name|Type|Title|Label|Hint|Message|Description|Placeholder|Path|Policy|Length|Count|Limit|Status|Enabled|Required|Expires|ExpiresIn|Expiry|Expiration|Lifetime|Ttl|Method"
    "|Iframe|Version|Timestamp|Algorithm|Spec|Scope|Strength|Error|Help|Feedback|File|Filename|Dir|Prefix|Format|Regex|Pattern|Driver|Provider|Class|Handler|Middleware|Strategy|Store|Validator|Rule|Hasher"
)
NOT = re.compile(
    r"access-control-|oauth_(?:callback|callback_confirmed|version|timestamp|signature_method)$|sec-websocket-|www-|proxy-authenticate|(?:.*[-_.])?(?:idempotency|surrogate|cache|partition|primary|foreign|public|routing|sort|row|map|input|output|result|limit)[-_]key$|(?:input|output)[-_]token$"
    rf"|.*[-_](?:{_SUFFIXES})s?$|.*[a-z](?-i:{_CAMEL})s?$"
    r"|.*(?:[cx]srf|crumb|token)[-_]?(?:request[-_]?)?(?:header|param(?:eter)?|field)$|(?-i:SecretId)$",
    re.IGNORECASE,
)
"""Names that have one of those words and are none."""
LINK = re.compile(r"(?:forgot(?:ten)?|reset|change|show|hide|lost|remember)[-_]?password$", re.IGNORECASE)
"""What a page says, not a field of a form."""
PARAMETER = re.compile(
    r"token(?!i[sz])|secret|passw|pass(?:phrase|code)|(?:^|[-_.\[])(?:pass|pwd|pw|pin|otp)(?:$|[-_.\]])|(?:api|app|access|private|subscription|encryption|signing|account|shared|master|auth)[-_]?key|^key$|signature|^sig$|credential|session|sessid|^sid$|^jwt$|(?:^|[-_])o?auth(?:$|[-_])"
    r"|authorization|assertion|bearer|[cx]srf|^code$|code_verifier|^ticket$|saml(?:request|response)|^(?:new|old|user|db|my)?pass[0-9]?$|^psw$|(?:^|[-_.\[])totp(?:$|[-_.\]])"
    r"|(?-i:[a-z0-9](?:Pass|Pwd|Pw|Pin|Otp)(?![a-z]))|(?:otp|mfa|auth|verification|recovery|backup|device)[-_]?codes?$|wpnonce$|^form_key$|^pword$"
    r"|^cookies?$|^connect\.sid$|sms[-_]?code|(?:^|[-_])psk$|(?:^|[-_])creds?$|(?:ssh|licen[cs]e|master)[-_]?key$|connection[-_]?string|bindpw|hmac|^sign$|^user[-_]?key$|login[-_]?pw|security[-_]?code|^cvv2?$|wi-?fi[-_]?key",
    re.IGNORECASE,
)
"""Parts of queries."""
