"""What of a line is code, a reference or a sentence, and no value that somebody wrote there. Vocabulary.

Contract: each function answers for one value, by its shape and by the line before it. Invariant: time is linear in the value, and a line before it is looked at BESIDE bytes at the most.
"""

from __future__ import annotations

import re

from pcapflow.redaction import is_secret_key

BESIDE = 512
"""Bytes of the lines beside one that are looked at."""
_IDENTIFIER = rb"[A-Za-z_$][A-Za-z0-9_$]{0,63}+"
_DOTTED = rb"%s(?:(?:\.|::|->|\?\.)%s){0,8}+" % (_IDENTIFIER, _IDENTIFIER)
_NAMES = rb"(?:undefined|null|nil|None|NULL|true|false|True|False|self|this|string|number|boolean|bool|any|unknown|void|never|object|str|bytes|int|float|char|String|Int|ID|Boolean|Float|Optional|Buffer|SecretStr|EmailStr)"
_TYPE = re.compile(
    rb"(?:%s|\[?[A-Z][A-Za-z0-9]{0,63}+!?\]?!|\[[A-Z][A-Za-z0-9]{0,63}+\]|%s\[.*\])(?:[ \t]*+[|=@].*)?[,;]?" % (_NAMES, _IDENTIFIER),
    re.DOTALL,
)
"""Of GraphQL, TypeScript, Python."""
_REFERENCE = re.compile(
    rb"\$\{[^{}]*+\}|\$\{\{[^{}]*+\}\}|\$[A-Z_][A-Z0-9_]*+|\$\(.*\)|`.*`|\{\{.*\}\}|\{%s\}|<%%.*%%>|<[A-Za-z_ -]{1,64}+>|%%[A-Z_]{1,64}+%%|%%\([a-z_]{1,64}+\)s|\?|\*++|%s|x++"
    % (_DOTTED, _NAMES),
    re.DOTALL,
)
_CODE = re.compile(
    rb"(?:await|async|new|not|lambda|function|yield|return|typeof|class)[ \t(].*|%s!?\(.*(?:\)[ \t]*+[{;,:]?|[({\[,])|%s\(|%s\[.*[\])}][);,]{0,4}|\([^()]*+\)[ \t]*+(?:=>|:).*|[\[{(].*[\]}),;]|[\[{(]"
    % (_DOTTED, _DOTTED, _DOTTED),
    re.DOTALL,
)
"""An expression, to its end or to that of its line."""
_SCRIPT = re.compile(rb"%s|%s\(.*|(?:\(|\{|\[).*|[^\r\n]*[{(]" % (_CODE.pattern, _DOTTED), re.DOTALL)
"""The same behind a colon, where the line before shows nothing."""
_CALL = re.compile(rb"(?:function|async|await|new)\b.*|%s\([^()]*+\)(?:[;,.)\]}].*)?" % _DOTTED, re.DOTALL)
_ARGUMENT = re.compile(rb"(%s)[,)](?:[,): ].*)?" % _DOTTED, re.DOTALL)
"""Of a call, with what follows it."""
_LIST = re.compile(rb"\[.*\]|\{.*\}", re.DOTALL)
_PATH = re.compile(rb"%s[;,]?" % _DOTTED)
_YAML = re.compile(
    rb"[ \t]*+(?:- )?[\"']?[A-Za-z0-9_.$/ -]{1,64}+[\"']?:(?:[ \t]++(?P<value>[^\r\n]*[^\s,;{(\[]))?[ \t]*+|[ \t]*+- [^\r\n]*[^\s,;{(\[]|---|[ \t]*+#[^\r\n]*+"
)
"""A line of YAML: nothing separates it from the next."""
_CLOSING = re.compile(rb"[ \t]*+\r?\n\s{0,64}+[})]")
_SENTENCE = re.compile(
    rb"(?=[A-Z]|.*[.:!?]$)(?=.*\b(?i:the|your|is|are|be|for|to|of|a|an|in|on|or|if|by|from|as)\b)[A-Za-z][A-Za-z'-]*+(?:,? [\"'(]?[A-Za-z'/-]++[\"')]?){2,64}+[.:!?]{0,3}"
)
"""Words of a language, as pages and their errors have them. Such words are no pass phrase: one is of rare words."""


def is_sentence(value: bytes) -> bool:
    """Whether a value is a sentence."""
    return len(value) <= BESIDE and _SENTENCE.fullmatch(value) is not None


def is_reference(value: bytes) -> bool:
    """Whether a value stands for another: a variable, a placeholder, nothing."""
    return _REFERENCE.fullmatch(value) is not None


def is_call(value: bytes) -> bool:
    """Whether a value is a call, or an argument of one with the others behind it."""
    return _CALL.fullmatch(value) is not None or _argument(value)


def _argument(value: bytes) -> bool:
    argument = _ARGUMENT.fullmatch(value)
    return argument is not None and (is_reference(argument[1]) or is_secret_key(str(argument[1], "latin-1")))


def is_code(value: bytes) -> bool:
    """Whether what stands behind `=` is an expression."""
    if is_reference(value) or _CODE.fullmatch(value) or _argument(value):
        return True
    path = _PATH.fullmatch(value)
    return path is not None and (value[-1:] in b";," or (b"." in value and is_secret_key(str(value.rpartition(b".")[2], "latin-1"))))


def is_value_of_script(text: bytes, line: int, begin: int, end: int, name: bytes) -> bool:
    """Whether what stands behind `:` in an indented line is a type or an expression. line: where it begins."""
    value = text[begin:end].rstrip()
    if _TYPE.fullmatch(value) or is_sentence(value) or (value[:1].isupper() and value.lower().rstrip(b",;") == name.lower()):
        return True
    if _is_yaml(text, line):
        return is_reference(value) or _LIST.fullmatch(value) is not None
    return (
        is_reference(value)
        or _SCRIPT.fullmatch(value) is not None
        or value.endswith((b",", b";"))
        or (_PATH.fullmatch(value) is not None and _CLOSING.match(text, end) is not None)
    )


def line_before(text: bytes, line: int) -> bytes:
    """The line before that which begins there, as much of it as is looked at."""
    end = max(0, line - 1)
    return text[
        text.rfind(b"\n", max(0, end - BESIDE), end) + 1
        if text.rfind(b"\n", max(0, end - BESIDE), end) >= 0
        else max(0, end - BESIDE) : end
    ].rstrip(b"\r")


def _is_yaml(text: bytes, line: int) -> bool:
    before = _YAML.fullmatch(line_before(text, line))
    return before is not None and (before["value"] is None or not _TYPE.fullmatch(before["value"]))
