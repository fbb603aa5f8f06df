"""Names of what carries a secret. Vocabulary of `redaction`.

A module of its own, which is loaded where something is to be told by a name: to compile the words takes a fiftieth of the start of a run, and one that only counts tells nothing.
"""

from __future__ import annotations

import re

FIELD = re.compile(
    r"authorization|authentication$|cookies?2?$|[a-z0-9][-_.]key$|key-data$|api[-_]?key|auth[-_]?key|access[-_]?key|private[-_]?key|subscription[-_]?key|token|secret|passw|pass(?:phrase|code)|(?:^|[-_])pass$|(?:^|[-_])pwd$|(?:^|[-_])otp$"
    r"|credential|session|jwt|signature(?:[-_]?256)?$|(?:^|[-_])auth$|registry-config$|art-api$|hmac|(?<!bread)crumb|wp-nonce|^x-(?:sid|pin)$|dockerconfigjson|(?:device|pin)[-_]?code$|(?:^|[-_])ticket$|bearer|[cx]srf|assertion|^dpop$|-oidc-"
    r"|mfa[-_]?code|totp|(?:auth|verification|sms)[-_]?code|sessid|(?:encryption|master|app|ssh|licen[cs]e)[-_]?key$|(?:^|[-_])psk$|(?:^|[-_])creds?$|connection[-_]?string|bindpw|2fa[-_]?code|^(?:x-)?authz$|unseal[-_]?key|(?:^|-)sign$|mnemonic|(?:recovery|seed)[-_]?phrase",
    re.IGNORECASE,
)
"""Fields of messages."""
NOT = re.compile(
    r"access-control-|sec-websocket-|www-|proxy-authenticate|(?:idempotency|surrogate|cache|partition|primary|foreign|public|routing|sort|row|map|input|output|result|limit)[-_]key$|(?:input|output)[-_]token$"
    r"|.*[-_](?:endpoint|supported|uri|url|name|type|title|label|text|hint|message|description|placeholder|path|policy|length|count|limit|age|status|enabled|required|expires|expiry|expiration|lifetime|ttl|methods?)s?$"
    r"|.*[a-z](?-i:Endpoint|Name|Type|Title|Label|Hint|Message|Description|Placeholder|Path|Policy|Length|Count|Limit|Status|Enabled|Required|Expires|ExpiresIn|Expiry|Expiration|Lifetime|Ttl|Methods?)s?$"
    r"|(?:forgot(?:ten)?|reset|change|show|hide|lost|remember)[-_]?password$",
    re.IGNORECASE,
)
"""Names that have one of those words and are none."""
PARAMETER = re.compile(
    r"token|secret|passw|pass(?:phrase|code)|(?:^|[-_.\[])(?:pass|pwd|pw|pin|otp)(?:$|[-_.\]])|(?:api|app|access|private|subscription|encryption|signing|account|shared|master|auth)[-_]?key|^key$|signature|^sig$|credential|session|sessid|^sid$|^jwt$|(?:^|[-_])o?auth(?:$|[-_])"
    r"|authorization|assertion|bearer|[cx]srf|^code$|code_verifier|^ticket$|saml(?:request|response)|^(?:new|old|user|db|my)?pass[0-9]?$|^psw$|(?:^|[-_.\[])totp(?:$|[-_.\]])"
    r"|(?-i:[a-z0-9](?:Pass|Pwd|Pw|Pin|Otp)(?![a-z]))|(?:otp|mfa|auth|verification|recovery|backup|device)[-_]?codes?$|wpnonce$|^form_key$|^pword$"
    r"|^cookies?$|^connect\.sid$|sms[-_]?code|(?:^|[-_])psk$|(?:^|[-_])creds?$|(?:ssh|licen[cs]e|master)[-_]?key$|connection[-_]?string|bindpw|hmac|^sign$|^user[-_]?key$|login[-_]?pw|security[-_]?code|^cvv2?$|wi-?fi[-_]?key",
    re.IGNORECASE,
)
"""Parts of queries."""
