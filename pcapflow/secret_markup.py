"""Secrets in HTML and XML: what elements and inputs have whose names, or attributes, say so. Vocabulary.

Contract: `in_markup` gives their places in some bytes. Invariant: time is linear in them: a tag has no other in it, and a text has no tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pcapflow.redaction import is_secret_key, is_secret_parameter
from pcapflow.secret_code import is_sentence
from pcapflow.secret_kinds import ELEMENT, WORD, Place

_ELEMENT = re.compile(
    rb"<((?:[A-Za-z0-9_-]{1,32}+:)?([A-Za-z0-9_.-]{1,64}+))(\s[^<>]*+)?>\s{0,64}+(?:<!\[CDATA\[((?:[^\]]|\](?!\]>))++)|([^<>]++)(?:(?=</\1\s{0,8}>)|\Z))"
)
"""With a text that ends with its own end tag, or is cut."""
_NAMED = re.compile(rb"\s(name|key|id)\s{0,8}=\s{0,8}[\"']([^\"'<>]{1,128}+)[\"']", re.IGNORECASE)
_NO_WORDS = re.compile(rb"\s*+(?=[^0-9]*+[0-9])[^\s]{6,}+\s*+")
_INPUT = re.compile(
    rb"<(?:input|meta|button|add|property|param|option|entry|item)(?=\s)((?:[^<>\"']++|\"[^\"]*+\"|'[^']*+'|[\"'])++)", re.IGNORECASE
)
_LABELLED = re.compile(rb"\stype\s{0,8}=\s{0,8}[\"']?(?:submit|reset|checkbox|radio|image)\b", re.IGNORECASE)
"""The value of such an input is shown, or says nothing."""
_ATTRIBUTE = re.compile(
    rb"\s(name|id|property|type|key|value|content)\s{0,8}=\s{0,8}(?:\"([^\"]*+)(?:\"|\Z)|'([^']*+)(?:'|\Z)|([^\s\"']++))", re.IGNORECASE
)
_PAIR = re.compile(rb"<(?:[kK]ey|[nN]ame)>([^<>]{1,128}+)</(?:[kK]ey|[nN]ame)>\s{0,64}+<(?:[vV]alue|string)>(?:<string>)?([^<>]++)")
"""An element with the name of what is in the next."""
_CELLS = re.compile(
    rb"<t[dh](?:\s[^<>]{0,256}+)?>\s{0,8}+([A-Za-z_][^<>\s]{0,127}+)\s{0,8}+</t[dh]>\s{0,64}+<td(?:\s[^<>]{0,256}+)?>([^<>]++)"
)
"""A table of names and values, such as phpinfo shows."""
_NESTED = re.compile(rb"<(?:property|entry|item|param|option|setting)(\s[^<>]*+)>\s{0,64}+<(?:[vV]alue|string)>([^<>]++)")
"""The same in an attribute."""
_OF_PAGES = frozenset((b"csrf-param", b"submit", b"hidden", b"text"))


def in_markup(text: bytes) -> Iterator[Place]:
    """The places of secrets."""
    if b"<" not in text:
        return
    for element in _ELEMENT.finditer(text):
        group = 4 if element[4] is not None else 5
        if group == 5 and element.end() == len(text) and b'"' in element[5]:
            continue  # of a string of JSON that has a tag in it
        if is_sentence(element[group]):
            continue
        if is_secret_key(str(element[2], "latin-1")) or (element[3] is not None and _is_named(element[3], element[group])):
            yield *element.span(group), ELEMENT
    for pair in _PAIR.finditer(text):
        if is_secret_key(str(pair[1], "latin-1")):
            yield *pair.span(2), ELEMENT
    for cells in _CELLS.finditer(text):
        if is_secret_key(str(cells[1], "latin-1")) and _NO_WORDS.fullmatch(cells[2]) is not None:
            yield *cells.span(2), ELEMENT
    for nested in _NESTED.finditer(text):
        if _is_named(nested[1], nested[2]):
            yield *nested.span(2), ELEMENT
    for tag in _INPUT.finditer(text):
        values = []
        named = known = False
        for attribute in _ATTRIBUTE.finditer(text, *tag.span(1)):
            group = 2 if attribute[2] is not None else 3 if attribute[3] is not None else 4
            name, value = attribute[1].lower(), attribute[group]
            if name in (b"value", b"content"):
                values.append(attribute.span(group))
            else:
                known = known or name != b"type"
                named = named or (value.lower() not in _OF_PAGES and is_secret_parameter(str(value, "latin-1")))
        if _LABELLED.search(tag[1]):
            continue
        for span in values:
            if named or (not known and span[1] == len(text)):  # its name may come behind it
                yield *span, WORD


def _is_named(attributes: bytes, text: bytes) -> bool:
    """Whether an attribute of an element says that its text is a secret: `id` where the text looks like no words, for pages have them for headings too."""
    named = _NAMED.search(attributes)
    if named is None or not is_secret_key(str(named[2], "latin-1")):
        return False
    return named[1].lower() != b"id" or _NO_WORDS.fullmatch(text) is not None
