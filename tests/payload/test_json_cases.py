"""JSON texts one by one, accepted, refused or a matter of taste, and arbitrary ones: the parser under every cut against the standard library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.contents import JsonBody
from pcapflow.limits import Limits
from pcapflow.payload.at_once import SMALL, parse_at_once
from pcapflow.payload.json_parser import JsonParser
from tests.conftest import CASES

DEFAULT = Limits()
TINY = replace(DEFAULT, json_slice=7)


# --- the parser


def parse(data: bytes, limits: Limits = DEFAULT, cuts: Iterable[int] = (), *, whole: bool = True) -> JsonBody:
    """A body fed in the pieces that the cuts make. Nothing is kept."""
    ledger = Ledger(limits)
    parser = JsonParser(limits, ledger.json)
    at = 0
    for cut in cuts:
        parser.feed(data[at:cut])
        at = cut
    parser.feed(data[at:])
    body = parser.finish(whole=whole, gapped=False)
    assert ledger.json.used == 0
    return body


def ways(data: bytes) -> Iterator[list[int]]:
    """Whole, byte by byte, and every cut in two (of a long text some forty of them)."""
    yield []
    yield list(range(1, len(data)))
    for cut in range(1, len(data), 1 if len(data) < 128 else len(data) // 40):
        yield [cut]


def under_every_cut(data: bytes, limits: Limits) -> JsonBody:
    """The one answer, however the bytes come."""
    first = parse(data, limits)
    for cuts in ways(data):
        assert parse(data, limits, cuts) == first, cuts
    return first


def without_offset(body: JsonBody) -> JsonBody:
    return body if body.error is None else msgspec.structs.replace(body, error=msgspec.structs.replace(body.error, offset=0))


# --- the model: the standard library


class Pairs(list[tuple[str, Any]]):
    """An object with all its keys, the repeated ones too."""


def refuse(constant: str) -> Any:
    raise ValueError(constant)


DECODER = json.JSONDecoder(object_pairs_hook=Pairs, parse_constant=refuse)
BLANK = " \t\r\n"


def model_documents(text: str, at_most: int = 1 << 30) -> tuple[list[Any], int]:
    """Documents one after another, and where the next begins; ValueError where it is none."""
    found: list[Any] = []
    at = len(text) - len(text.lstrip(BLANK))
    while at < len(text) and len(found) < at_most:
        value, at = DECODER.raw_decode(text, at)
        found.append(value)
        at = len(text) - len(text[at:].lstrip(BLANK))
    return found, at


KINDS = {
    Pairs: "object",
    list: "array",
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
    Decimal: "number",
}


def expected_body(documents: list[Any], size: int) -> JsonBody:
    """The record of a body of these documents."""
    walks = [model_walk(d) for d in documents]
    kinds = {KINDS[type(d)] for d in documents}
    return JsonBody(
        len(documents),
        sum(e for e, _, _ in walks),
        sum(k for _, _, k in walks),
        max(d for _, d, _ in walks),
        kinds.pop() if len(kinds) == 1 else "mixed",
        size,
        "complete",
    )


def model_walk(value: Any) -> tuple[int, int, int]:
    """How many events ijson makes of a value, how deep it is, and how many keys it has."""
    if isinstance(value, Pairs):
        inner = [model_walk(v) for _, v in value]
        return (
            2 + len(value) + sum(e for e, _, _ in inner),
            1 + max((d for _, d, _ in inner), default=0),
            len(value) + sum(k for _, _, k in inner),
        )
    if isinstance(value, list):
        inner = [model_walk(v) for v in value]
        return 2 + sum(e for e, _, _ in inner), 1 + max((d for _, d, _ in inner), default=0), sum(k for _, _, k in inner)
    return 1, 0, 0


def model(data: bytes) -> JsonBody:
    """What a body ought to be; ValueError where it is not JSON in UTF-8, or nothing at all."""
    documents, _ = model_documents(data.decode())
    if not documents:
        raise ValueError("no document")
    return expected_body(documents, len(data))


def strings_of(value: Any) -> Iterator[str]:
    if isinstance(value, Pairs):
        for key, inner in value:
            yield key
            yield from strings_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_of(inner)
    elif isinstance(value, str):
        yield value


def has_lone_surrogate(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for value in model_documents(text)[0] for s in strings_of(value) for c in s)


# --- accepted

ACCEPTED = {
    # structure
    "an_empty_array": b"[]",
    "an_empty_object": b"{}",
    "an_array_of_an_empty_array": b"[[]]",
    "an_object_of_an_empty_object": b'{"a":{}}',
    "empty_containers_side_by_side": b"[[],{},[],{}]",
    "blanks_in_empty_containers": b"[ \t] ",
    "an_array_of_one": b"[1]",
    "an_array_of_every_kind": b'[1,-1.5,"s",true,false,null,[],{}]',
    "an_object_of_every_kind": b'{"i":1,"f":1.5,"s":"","t":true,"f2":false,"n":null,"a":[],"o":{}}',
    "arrays_a_hundred_deep": b"[" * 100 + b"]" * 100,
    "objects_thirty_deep": b'{"a":' * 30 + b"0" + b"}" * 30,
    "arrays_and_objects_in_turn": b'[{"a":' * 20 + b"[]" + b"}]" * 20,
    "depth_that_returns_several_times": b"[[[]],[[[]]],[],[[[[]]]]]",
    "an_array_of_nothing_but_null": b"[null,null,null]",
    "brackets_in_strings_are_text": b'["[","{","]}","[[[["]',
    "quotes_and_brackets_in_a_key": b'{"\\"[{":"}]\\""}',
    "commas_and_colons_in_strings": b'{",":":",":,":",:"}',
    # keys
    "an_empty_key": b'{"":0}',
    "an_empty_key_within_an_empty_key": b'{"":{"":{"":[]}}}',
    "a_repeated_key": b'{"a":1,"a":2}',
    "a_repeated_key_with_equal_values": b'{"a":1,"a":1,"a":1}',
    "a_repeated_key_with_containers": b'{"a":[1],"a":{"a":[]}}',
    "a_repeated_empty_key": b'{"":1,"":2}',
    "a_key_of_escapes": b'{"\\u0061\\n\\"":1}',
    "a_key_that_looks_like_a_number": b'{"1":1,"-0.5e3":2}',
    "a_key_beyond_what_the_path_keeps": b'{"' + b"k" * 100 + b'":1}',
    "a_key_in_another_script": '{"ключ":"値"}'.encode(),
    "keys_with_dots": b'{"a.b":{"c.d":1}}',
    # numbers
    "zero": b"0",
    "minus_zero": b"-0",
    "minus_zero_as_a_fraction": b"[-0.0,-0e0,-0E-0]",
    "a_zero_in_an_array": b"[0]",
    "one_digit": b"7",
    "a_fraction_with_leading_zeros_after_the_point": b"[0.0001]",
    "a_fraction_with_trailing_zeros": b"[1.5000]",
    "an_exponent": b"[1e5]",
    "an_exponent_with_plus": b"[1e+5]",
    "an_exponent_with_minus": b"[1e-5]",
    "a_capital_exponent": b"[1E5]",
    "a_capital_exponent_with_plus": b"[1E+5]",
    "a_capital_exponent_with_minus": b"[1E-5]",
    "an_exponent_of_zero": b"[1e0,1e00,1e+00,1e-0]",
    "an_exponent_with_leading_zeros": b"[1e0007]",
    "an_exponent_after_a_fraction": b"[-12.34e+56]",
    "zero_with_an_exponent": b"[0e1,0E+1,0e-1]",
    "the_largest_unsigned_64_bit_id": b'{"id":18446744073709551615}',
    "the_least_signed_64_bit_id": b'{"id":-9223372036854775808}',
    "one_beyond_64_bits": b"[18446744073709551616,-9223372036854775809]",
    "an_id_beyond_53_bits": b"[9007199254740993]",
    "an_integer_of_a_thousand_digits": b"9" * 1000,
    "a_fraction_of_many_digits": b"[3." + b"14159265358979323846" * 5 + b"]",
    "an_exponent_beyond_a_double": b"[1e400,-1e400]",
    "an_exponent_below_a_double": b"[1e-400]",
    "a_large_exponent": b"[1e99999]",
    "a_number_alone_and_blanks_after_it": b"-1.5e3 \n",
    "many_numbers_of_the_slice_s_length": b"[1234567,1234567,12345678,123456]",
    # strings
    "an_empty_string": b'""',
    "a_string_alone": b'"abc"',
    "every_short_escape": b'"\\"\\\\\\/\\b\\f\\n\\r\\t"',
    "an_unescaped_slash": b'["/"]',
    "an_escaped_backslash_at_the_end": b'["a\\\\"]',
    "an_escaped_quote_at_the_end": b'["a\\""]',
    "runs_of_backslashes": b'["\\\\\\\\","\\\\\\"","\\\\\\\\\\""]',
    "a_unicode_escape_in_small_letters": b'["\\u00e9\\uabcd"]',
    "a_unicode_escape_in_capitals": b'["\\u00E9\\uABCD"]',
    "an_escaped_nul": b'["\\u0000"]',
    "escaped_control_characters": b'["\\u0001\\u001f\\u007f"]',
    "an_escaped_quote_and_backslash_by_number": b'["\\u0022\\u005c"]',
    "a_surrogate_pair": b'["\\ud83d\\ude00"]',
    "two_surrogate_pairs": b'["\\uD83D\\uDE00\\ud834\\udd1e"]',
    "the_last_surrogate_pair": b'["\\udbff\\udfff"]',
    "a_surrogate_pair_in_a_key": b'{"\\ud83d\\ude00":1}',
    "escaped_noncharacters": b'["\\ufffe\\uffff\\ufdd0"]',
    "an_escaped_byte_order_mark": b'["\\ufeff"]',
    "an_escaped_u_2028": b'["\\u2028\\u2029"]',
    "two_bytes_a_character": '["é"]'.encode(),
    "three_bytes_a_character": '["☃"]'.encode(),
    "four_bytes_a_character": '["😀"]'.encode(),
    "the_first_and_last_character_of_each_length": '["\u007f\u0080\u07ff\u0800\uffff\U00010000\U0010ffff"]'.encode(),
    "the_characters_beside_the_surrogates": '["\ud7ff\ue000"]'.encode(),
    "raw_u_2028_and_u_2029": '["\u2028\u2029"]'.encode(),
    "a_raw_delete": b'["\x7f"]',
    "raw_c1_control_characters": '["\x80\x9f"]'.encode(),
    "raw_noncharacters": '["\ufffe\uffff\U0010fffe"]'.encode(),
    "a_byte_order_mark_inside_a_string": '["a\ufeffb"]'.encode(),
    "no_break_space_inside_a_string": '["\xa0"]'.encode(),
    "combining_characters": '["e\u0301"]'.encode(),
    "a_comment_inside_a_string": b'["/* */ // #"]',
    "a_string_of_many_slices": b'["' + b"long " * 30 + b'"]',
    "a_string_alone_of_many_slices": b'"' + b"[{" * 60 + b'"',
    "a_string_of_many_escapes": b'["' + b"\\u00e9" * 30 + b'"]',
    # literals
    "true_alone": b"true",
    "false_alone": b"false",
    "null_alone": b"null",
    "literals_in_an_array": b"[true,false,null]",
    # white space
    "blanks_around_everything": b' \t\r\n{ "a" \n:\t[ 1 ,\r\n2 ] \t, "b" : { } } \r\n',
    "a_leading_line_feed": b"\n[]",
    "trailing_blanks_longer_than_a_slice": b"[]" + b" " * 20,
    "leading_blanks_longer_than_a_slice": b" " * 20 + b"[]",
    "tabs_only": b"\t[\t1\t]\t",
    "carriage_returns_only": b"\r[\r1\r]\r",
    # several documents
    "two_documents_in_lines": b'{"a":1}\n{"b":2}\n',
    "two_documents_with_nothing_between": b'{"a":1}{"b":[2]}',
    "arrays_with_nothing_between": b"[][][[]]",
    "numbers_with_a_blank_between": b"1 2 3",
    "strings_with_nothing_between": b'"a""b"""',
    "a_string_and_an_array_with_nothing_between": b'"a"[]"b"',
    "literals_with_a_blank_between": b"true false\nnull",
    "a_number_and_a_string_with_nothing_between": b'1"a"2',
    "a_number_and_an_object_with_nothing_between": b'1{"a":2}3',
    "documents_of_every_kind": b'1\n"s"\n[1]\n{"a":{}}\nnull\n-2.5\n',
    "empty_lines_between_documents": b"[1]\n\n\n[2]\r\n\r\n",
    "many_small_documents": b"{}\n" * 40,
}


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_this_text_is_accepted_and_counted_as_the_standard_library_does(data: bytes) -> None:
    expected = model(data)
    if expected.documents == 1:
        json.loads(data, parse_constant=refuse)
    assert under_every_cut(data, DEFAULT) == expected
    assert under_every_cut(data, TINY) == expected
    if len(data) <= SMALL:
        assert parse_at_once(data) == expected


# --- refused


class Refused(NamedTuple):
    """A text with an `@` before the token that breaks it. documents: whole ones before it. path: of the container that is open there."""

    marked: bytes
    path: str = ""
    documents: int = 0

    @property
    def data(self) -> bytes:
        return self.marked.replace(b"@", b"", 1)

    @property
    def offset(self) -> int:
        """Of the mark, in the document that it breaks."""
        start = model_documents(self.data.decode("latin-1"), self.documents)[1] if self.documents or not self.data.isspace() else 0
        return self.marked.index(b"@") - start


REFUSED = {
    # nothing
    "an_empty_body": Refused(b"@"),
    "only_a_blank": Refused(b" @"),
    "only_blanks_of_every_kind": Refused(b" \t\r\n @"),
    "only_blanks_longer_than_a_slice": Refused(b" " * 30 + b"@"),
    # lonely and unmatched brackets
    "a_lonely_opening_bracket": Refused(b"[@", "[]"),
    "a_lonely_opening_brace": Refused(b"{@"),
    "a_lonely_closing_bracket": Refused(b"@]"),
    "a_lonely_closing_brace": Refused(b"@}"),
    "an_array_closed_by_a_brace": Refused(b"[1@}", "[]"),
    "an_object_closed_by_a_bracket": Refused(b'{"a":1@]', "a"),
    "an_empty_array_closed_by_a_brace": Refused(b"[@}", "[]"),
    "an_empty_object_closed_by_a_bracket": Refused(b"{@]"),
    "closers_in_the_wrong_order": Refused(b'[{"a":[1@}]]', "[].a[]"),
    "an_array_closed_twice": Refused(b"[1]@]", "", 1),
    "an_object_closed_twice": Refused(b'{"a":1}@}', "", 1),
    "an_unclosed_array": Refused(b"[1,2@", "[]"),
    "an_unclosed_array_after_a_comma": Refused(b"[1,@", "[]"),
    "an_unclosed_object_after_its_key": Refused(b'{"a"@', "a"),
    "an_unclosed_object_after_its_colon": Refused(b'{"a":@', "a"),
    "an_unclosed_object_after_its_value": Refused(b'{"a":1@', "a"),
    "an_unclosed_object_after_a_comma": Refused(b'{"a":1,@', "a"),
    "many_unclosed_arrays": Refused(b"[" * 30 + b"@", "[]" * 30),
    "unclosed_with_blanks_after": Refused(b"[1  \n @", "[]"),
    "an_inner_array_closed_and_an_outer_not": Refused(b"[[1]@", "[]"),
    # commas and colons
    "a_trailing_comma_in_an_array": Refused(b"[1,@]", "[]"),
    "a_trailing_comma_in_an_object": Refused(b'{"a":1,@}', "a"),
    "two_trailing_commas": Refused(b"[1,@,]", "[]"),
    "a_leading_comma_in_an_array": Refused(b"[@,1]", "[]"),
    "a_leading_comma_in_an_object": Refused(b'{@,"a":1}'),
    "a_double_comma_in_an_array": Refused(b"[1,@,2]", "[]"),
    "a_double_comma_in_an_object": Refused(b'{"a":1,@,"b":2}', "a"),
    "nothing_but_a_comma_in_an_array": Refused(b"[@,]", "[]"),
    "nothing_but_a_comma_in_an_object": Refused(b"{@,}"),
    "nothing_but_a_comma": Refused(b"@,"),
    "nothing_but_a_colon": Refused(b"@:"),
    "no_comma_between_numbers": Refused(b"[1 @2]", "[]"),
    "no_comma_between_strings": Refused(b'["a"@"b"]', "[]"),
    "no_comma_between_arrays": Refused(b"[[]@[]]", "[]"),
    "no_comma_between_members": Refused(b'{"a":1 @"b":2}', "a"),
    "no_comma_before_an_object": Refused(b'[1@{"a":2}]', "[]"),
    "a_semicolon_for_a_comma": Refused(b"[1@;2]", "[]"),
    "no_colon": Refused(b'{"a" @1}', "a"),
    "no_colon_before_an_array": Refused(b'{"a"@[]}', "a"),
    "a_comma_for_a_colon": Refused(b'{"a"@,1}', "a"),
    "an_equals_sign_for_a_colon": Refused(b'{"a"@=1}', "a"),
    "a_double_colon": Refused(b'{"a":@:1}', "a"),
    "two_colons_in_a_member": Refused(b'{"a":1@:2}', "a"),
    "a_colon_in_an_array": Refused(b'["a"@:1]', "[]"),
    "no_value": Refused(b'{"a":@}', "a"),
    "no_value_before_a_comma": Refused(b'{"a":@,"b":1}', "a"),
    "no_key": Refused(b"{@:1}"),
    "a_key_alone": Refused(b'{"a"@}', "a"),
    "a_value_where_a_key_belongs": Refused(b'{"a":1,@2}', "a"),
    "a_comma_between_documents": Refused(b"[1]@,[2]", "", 1),
    "a_comma_after_a_document": Refused(b'{"a":1}@,', "", 1),
    "a_colon_after_a_document": Refused(b'"a"@:1', "", 1),
    # keys that are none
    "an_unquoted_key": Refused(b"{@a:1}"),
    "a_second_key_unquoted": Refused(b'{"a":1,@b:2}', "a"),
    "a_number_for_a_key": Refused(b"{@1:1}"),
    "null_for_a_key": Refused(b"{@null:1}"),
    "an_array_for_a_key": Refused(b"{@[]:1}"),
    "an_object_for_a_key": Refused(b'{@{"a":1}:1}'),
    "a_key_in_single_quotes": Refused(b"{@'a':1}"),
    # what stands after a document
    "a_word_after_a_document": Refused(b"[1] @garbage", "", 1),
    "a_word_that_touches_a_document": Refused(b'{"a":1}@x', "", 1),
    "a_hash_after_a_document": Refused(b"{}@#", "", 1),
    "a_nul_after_a_document": Refused(b"[]@\x00", "", 1),
    "a_quote_after_a_document": Refused(b'[]"@', "", 1),
    "an_unclosed_string_after_a_document": Refused(b'1 "abc@', "", 1),
    "an_unclosed_string_in_a_second_line": Refused(b'{"a":1}\n"abc, {}@', "", 1),
    "a_backslash_at_the_end_of_a_second_document": Refused(b'[1] "\\@', "", 1),
    "a_literal_cut_by_the_end_after_a_document": Refused(b"{} tru@", "", 1),
    "minus_and_nothing_more_after_a_document": Refused(b"{} -@", "", 1),
    "a_closer_after_several_documents": Refused(b"1 [2] {} @]", "", 3),
    "a_broken_third_line": Refused(b'{"a":1}\n{"b":2}\n{"c":@?}\n', "c", 2),
    "an_unclosed_second_line": Refused(b'{"a":1}\n{"b":[2@', "b[]", 1),
    "a_broken_document_after_numbers": Refused(b"1 22 333 [@,]", "[]", 3),
    "a_broken_document_after_strings": Refused(b'"a" "bb" {"k" @2}', "k", 2),
    # numbers
    "a_leading_zero_in_an_array": Refused(b"[@01]", "[]"),
    "a_leading_zero_after_minus": Refused(b"[@-01]", "[]"),
    "two_zeros": Refused(b'{"a":@00}', "a"),
    "a_leading_plus": Refused(b"[@+1]", "[]"),
    "a_leading_plus_alone": Refused(b"@+1"),
    "a_leading_point": Refused(b"[@.5]", "[]"),
    "minus_and_a_point": Refused(b"[@-.5]", "[]"),
    "a_trailing_point": Refused(b"[@1.]", "[]"),
    "a_point_before_an_exponent": Refused(b"[@1.e5]", "[]"),
    "a_point_alone": Refused(b"[@.]", "[]"),
    "two_points": Refused(b"[@1.2.3]", "[]"),
    "minus_alone": Refused(b"[@-]", "[]"),
    "minus_and_nothing_more": Refused(b"-@"),
    "two_minus": Refused(b"[@--1]", "[]"),
    "a_minus_in_the_middle": Refused(b"[@1-2]", "[]"),
    "a_blank_after_minus": Refused(b"[@- 1]", "[]"),
    "an_exponent_without_digits": Refused(b"[@1e]", "[]"),
    "a_capital_exponent_without_digits": Refused(b"[@1E]", "[]"),
    "an_exponent_with_plus_and_no_digits": Refused(b"[@1e+]", "[]"),
    "an_exponent_with_minus_and_no_digits": Refused(b"[@1e-]", "[]"),
    "an_exponent_with_two_signs": Refused(b"[@1e+-1]", "[]"),
    "an_exponent_with_a_fraction": Refused(b"[@1e1.5]", "[]"),
    "two_exponents": Refused(b"[@1e1e1]", "[]"),
    "an_exponent_alone": Refused(b"[@e5]", "[]"),
    "a_hexadecimal_number": Refused(b"[0@x1]", "[]"),
    "an_octal_number": Refused(b"[0@o7]", "[]"),
    "an_underscore_in_a_number": Refused(b"[1@_000]", "[]"),
    "a_blank_in_a_number": Refused(b"[1 @000]", "[]"),
    "a_number_with_a_letter": Refused(b"[1@f]", "[]"),
    "a_number_that_touches_a_literal": Refused(b"[1@true]", "[]"),
    "nan": Refused(b"[@NaN]", "[]"),
    "nan_in_small_letters": Refused(b"[@nan]", "[]"),
    "infinity": Refused(b"[@Infinity]", "[]"),
    "minus_infinity": Refused(b"[@-Infinity]", "[]"),
    "minus_nan": Refused(b"[@-NaN]", "[]"),
    "infinity_alone": Refused(b"@Infinity"),
    "digits_of_another_script": Refused("[@١]".encode(), "[]"),
    "full_width_digits": Refused("[@１]".encode(), "[]"),
    "a_number_that_ends_with_the_body_at_its_point": Refused(b"1.@"),
    "a_number_that_ends_with_the_body_at_its_exponent": Refused(b"[1e@", "[]"),
    # strings
    "an_unclosed_string": Refused(b'"abc@'),
    "a_quote_alone": Refused(b'"@'),
    "an_unclosed_string_in_an_array": Refused(b'["abc@', "[]"),
    "a_string_closed_by_an_escaped_quote": Refused(b'["abc\\"]@', "[]"),
    "a_backslash_at_the_end": Refused(b'["abc\\@', "[]"),
    "an_unclosed_key": Refused(b'{"abc@'),
    "an_escape_of_a_letter": Refused(b'[@"\\a"]', "[]"),
    "an_escape_of_v": Refused(b'[@"\\v"]', "[]"),
    "an_escape_of_a_single_quote": Refused(b'[@"\\\'"]', "[]"),
    "an_escape_of_a_digit": Refused(b'[@"\\0"]', "[]"),
    "an_escape_in_hexadecimal": Refused(b'[@"\\x41"]', "[]"),
    "an_escape_of_a_capital_u": Refused(b'[@"\\U0041"]', "[]"),
    "an_escape_of_a_capital_n": Refused(b'[@"\\N"]', "[]"),
    "an_escape_of_a_line_feed": Refused(b'[@"\\\n"]', "[]"),
    "an_escape_of_a_nul": Refused(b'[@"\\\x00"]', "[]"),
    "an_escape_of_a_long_character": Refused('[@"\\é"]'.encode(), "[]"),
    "a_unicode_escape_of_no_digit": Refused(b'[@"\\u"]', "[]"),
    "a_unicode_escape_of_three_digits": Refused(b'[@"\\u123"]', "[]"),
    "a_unicode_escape_with_a_letter_too_far": Refused(b'[@"\\u123g"]', "[]"),
    "a_unicode_escape_with_a_sign": Refused(b'[@"\\u+123"]', "[]"),
    "a_unicode_escape_with_a_blank": Refused(b'[@"\\u 123"]', "[]"),
    "a_unicode_escape_in_braces": Refused(b'[@"\\u{41}"]', "[]"),
    "half_a_surrogate_pair_and_a_broken_escape": Refused(b'[@"\\ud83d\\u12"]', "[]"),
    "a_bad_escape_in_a_key": Refused(b'{@"\\x":1}'),
    "a_bad_escape_in_a_second_key": Refused(b'{"a":1,@"\\x":1}', "a"),
    "an_escape_outside_a_string": Refused(b"[@\\n]", "[]"),
    "an_escaped_letter_outside_a_string": Refused(b"[@\\u0041]", "[]"),
    "a_raw_line_feed": Refused(b'[@"a\nb"]', "[]"),
    "a_raw_carriage_return": Refused(b'[@"a\rb"]', "[]"),
    "a_raw_tab": Refused(b'[@"\t"]', "[]"),
    "a_raw_nul": Refused(b'[@"a\x00b"]', "[]"),
    "a_raw_unit_separator": Refused(b'[@"\x1f"]', "[]"),
    "a_raw_form_feed_in_a_string": Refused(b'[@"\x0c"]', "[]"),
    "a_raw_escape_character": Refused(b'[@"\x1b[0m"]', "[]"),
    "a_raw_line_feed_in_a_key": Refused(b'{@"a\nb":1}'),
    "single_quotes": Refused(b"[@'a']", "[]"),
    "back_quotes": Refused(b"[@`a`]", "[]"),
    "curly_quotes": Refused("[@“a”]".encode(), "[]"),
    "strings_joined_by_plus": Refused(b'["a"@+"b"]', "[]"),
    "text_without_quotes": Refused(b"[@abc]", "[]"),
    # bytes that are no UTF-8
    "a_lone_continuation_byte": Refused(b'[@"\x80"]', "[]"),
    "a_lone_continuation_byte_after_text": Refused(b'[@"abc\xbf"]', "[]"),
    "a_continuation_byte_too_many": Refused(b'[@"\xc3\xa9\xa9"]', "[]"),
    "two_bytes_cut_short": Refused(b'[@"\xc3"]', "[]"),
    "three_bytes_cut_short": Refused(b'[@"\xe2\x98"]', "[]"),
    "four_bytes_cut_short": Refused(b'[@"\xf0\x9f\x98"]', "[]"),
    "a_lead_byte_and_a_letter": Refused(b'[@"\xc3a"]', "[]"),
    "a_lead_byte_and_a_lead_byte": Refused(b'[@"\xc3\xc3\xa9"]', "[]"),
    "latin_1": Refused(b'[@"caf\xe9"]', "[]"),
    "an_overlong_slash_of_two_bytes": Refused(b'[@"\xc0\xaf"]', "[]"),
    "an_overlong_nul": Refused(b'[@"\xc0\x80"]', "[]"),
    "an_overlong_letter": Refused(b'[@"\xc1\x81"]', "[]"),
    "an_overlong_slash_of_three_bytes": Refused(b'[@"\xe0\x80\xaf"]', "[]"),
    "an_overlong_slash_of_four_bytes": Refused(b'[@"\xf0\x80\x80\xaf"]', "[]"),
    "the_longest_overlong_of_three_bytes": Refused(b'[@"\xe0\x9f\xbf"]', "[]"),
    "the_longest_overlong_of_four_bytes": Refused(b'[@"\xf0\x8f\xbf\xbf"]', "[]"),
    "an_overlong_quote_does_not_end_a_string": Refused(b'[@"\xc0\xa2"]', "[]"),
    "beyond_u_10ffff": Refused(b'[@"\xf4\x90\x80\x80"]', "[]"),
    "a_lead_byte_beyond_four_bytes": Refused(b'[@"\xf5\x80\x80\x80"]', "[]"),
    "a_character_of_five_bytes": Refused(b'[@"\xf8\x88\x80\x80\x80"]', "[]"),
    "a_character_of_six_bytes": Refused(b'[@"\xfc\x84\x80\x80\x80\x80"]', "[]"),
    "the_byte_fe": Refused(b'[@"\xfe"]', "[]"),
    "the_byte_ff": Refused(b'[@"\xff"]', "[]"),
    "a_bad_byte_in_a_key": Refused(b'{@"\xff":1}'),
    "an_overlong_byte_in_a_key": Refused(b'{"a":[1],@"\xc0\xaf":1}', "a"),
    "a_bad_byte_after_good_characters": Refused(b'{"a":"\xc3\xa9","b":@"\xe2\x98\x83\xff"}', "b"),
    "a_bad_byte_outside_a_string": Refused(b"[@\xff]", "[]"),
    "a_bad_byte_alone": Refused(b"@\xff"),
    "a_good_character_outside_a_string": Refused("[@é]".encode(), "[]"),
    # literals
    "true_in_capitals": Refused(b"[@TRUE]", "[]"),
    "true_with_a_capital": Refused(b"[@True]", "[]"),
    "none_of_python": Refused(b"[@None]", "[]"),
    "undefined": Refused(b"[@undefined]", "[]"),
    "three_letters_of_true": Refused(b"[@tru]", "[]"),
    "three_letters_of_null": Refused(b"[@nul]", "[]"),
    "four_letters_of_false": Refused(b"[@fals]", "[]"),
    "null_in_capitals_within": Refused(b"[@nULL]", "[]"),
    "a_letter_of_true_alone": Refused(b"[@t]", "[]"),
    "true_and_false_in_one": Refused(b"[@truefalse]", "[]"),
    "a_letter_after_null": Refused(b"[@nulls]", "[]"),
    "a_digit_after_true": Refused(b"[true@1]", "[]"),
    "a_literal_cut_by_the_end": Refused(b"tru@"),
    "a_literal_cut_by_the_end_of_its_array": Refused(b"[1,fal@", "[]"),
    "a_blank_in_a_literal": Refused(b"[@nu ll]", "[]"),
    # white space that is none
    "a_no_break_space": Refused("[@\xa01]".encode(), "[]"),
    "a_no_break_space_of_latin_1": Refused(b"[@\xa01]", "[]"),
    "a_byte_order_mark_in_the_middle": Refused("[1,@\ufeff2]".encode(), "[]"),
    "a_byte_order_mark_after_a_document": Refused("[1]@\ufeff".encode(), "", 1),
    "a_zero_width_space": Refused("[@\u200b1]".encode(), "[]"),
    "a_word_joiner": Refused("[1@\u2060]".encode(), "[]"),
    "a_line_separator_outside_a_string": Refused("[1@\u2028]".encode(), "[]"),
    "a_next_line_outside_a_string": Refused("[@\x85]".encode(), "[]"),
    "an_ideographic_space": Refused("[@\u30001]".encode(), "[]"),
    "nothing_but_a_form_feed": Refused(b"\x0c@"),
    "a_nul_outside_a_string": Refused(b"[@\x001]", "[]"),
    "a_backspace_outside_a_string": Refused(b"[@\x081]", "[]"),
    "a_file_separator_outside_a_string": Refused(b"[@\x1c1]", "[]"),
    "an_escape_character_outside_a_string": Refused(b"@\x1b[]"),
    "a_delete_outside_a_string": Refused(b"[@\x7f]", "[]"),
    # comments and other dialects
    "a_block_comment_first": Refused(b"@/* c */[1]"),
    "a_block_comment_within": Refused(b"[1,@/* c */2]", "[]"),
    "a_block_comment_last": Refused(b"[1]@/* c */", "", 1),
    "a_line_comment_first": Refused(b"@// c\n[1]"),
    "a_line_comment_within": Refused(b'{"a":1@// c\n}', "a"),
    "a_hash_comment": Refused(b"@# c\n[1]"),
    "a_slash_alone": Refused(b"[1@/]", "[]"),
    "an_sgml_comment": Refused(b"@<!-- c -->[]"),
    "parentheses": Refused(b"@(1)"),
    "markup": Refused(b"@<html></html>"),
    "a_form": Refused(b"@a=1&b=2"),
    "a_dollar": Refused(b"[@$1]", "[]"),
    "a_call": Refused(b'@callback({"a":1})'),
    "an_ellipsis": Refused(b"[1,@...]", "[]"),
    "a_regular_expression": Refused(b"[@/a/]", "[]"),
    # deep and late
    "a_break_at_the_end_of_long_arrays": Refused(b"[" + b"1," * 40 + b"@]", "[]"),
    "a_break_after_a_long_string": Refused(b'["' + b"x" * 50 + b'" @1]', "[]"),
    "a_break_deep_inside": Refused(b'{"a":[{"b":[{"c":[1,@,]}]}]}', "a[].b[].c[]"),
    "a_break_after_closed_containers": Refused(b'{"a":[[],{}],"b":{"c":[]}@[]}', "b"),
    "a_break_after_a_repeated_key": Refused(b'{"a":1,"a":2,"a":@}', "a"),
    "a_break_at_an_empty_key": Refused(b'{"":@}'),
}


def cases(table: Mapping[str, Any]) -> list[Any]:
    """Parameters of a test."""
    return [pytest.param(case, id=name) for name, case in table.items()]


@pytest.mark.parametrize("case", cases(REFUSED))
def test_this_text_is_refused_under_every_cut_and_says_where_it_breaks(case: Refused) -> None:
    data = case.data
    with pytest.raises(ValueError):
        model(data)
    for limits in (DEFAULT, TINY):
        body = under_every_cut(data, limits)
        assert (body.status, body.documents, body.bytes, body.drop_reason) == ("invalid", case.documents, len(data), None)
        assert body.error is not None
        assert body.error.message
        assert (body.error.offset, body.error.path) == (case.offset, case.path)
    assert without_offset(parse(data, DEFAULT)) == without_offset(parse(data, TINY))


@pytest.mark.parametrize("case", cases({name: case for name, case in REFUSED.items() if len(case.data) <= SMALL}))
def test_this_text_is_refused_in_one_go_too(case: Refused) -> None:
    assert parse_at_once(case.data) is None


# --- where a text breaks, with a slice's end at an awkward place

SLICE = DEFAULT.json_slice

PLACES: dict[str, tuple[Refused, Limits, str]] = {
    "a_string_closed_in_the_next_slice": (Refused(b'["abcdefg" @1]', "[]"), TINY),
    "a_key_closed_in_the_next_slice": (Refused(b'{"abcdefg" @1}', "abcdefg"), TINY),
    "a_string_that_ends_with_the_slice": (Refused(b'["abcd"@1]', "[]"), TINY),
    "a_number_that_ends_with_the_slice": (Refused(b"[123456 @7]", "[]"), TINY),
    "a_number_that_goes_on_in_the_next_slice": (Refused(b"[1234567,@,1]", "[]"), TINY),
    "a_literal_that_goes_on_in_the_next_slice": (Refused(b"[    true,@,1]", "[]"), TINY),
    "a_string_document_of_several_slices_before": (Refused(b'"abcdefghijkl" [@,]', "[]", 1), TINY),
    "an_escaped_backslash_at_the_end_of_the_slice": (Refused(b'["abc\\\\" @1]', "[]"), TINY),
    "a_bad_byte_several_slices_into_a_string": (Refused(b'[@"' + b"x" * 30 + b'\xff"]', "[]"), TINY),
    "an_escaped_quote_across_two_slices": (Refused(b'["abcd\\"e" @1]', "[]"), TINY),
    "an_escaped_quote_across_two_slices_in_a_key": (Refused(b'{"abcd\\"e" @1}', '["abcd\\"e"]'), TINY),
    "an_escaped_quote_across_two_default_slices": (Refused(b'["' + b"a" * (SLICE - 3) + b'\\"e", 1, 2, @x]', "[]"), DEFAULT),
    "a_literal_that_ends_with_the_slice": (Refused(b"[  true,@,1]", "[]"), TINY),
    "a_literal_that_ends_with_the_slice_in_an_object": (Refused(b'{"abcde": null @1}', "abcde"), TINY),
    "a_literal_that_ends_with_the_default_slice": (Refused(b"[" + b" " * (SLICE - 5) + b"true,@,1]", "[]"), DEFAULT),
    "a_letter_after_a_number_that_ends_with_the_slice": (Refused(b"[123456@x]", "[]"), TINY),
    "a_letter_after_a_number_that_ends_with_the_default_slice": (Refused(b"[" + b" " * (SLICE - 4) + b"123@x]", "[]"), DEFAULT),
    "a_literal_after_a_number_that_ends_with_the_slice": (Refused(b"[123456@true]", "[]"), TINY),
    "a_minus_after_a_number_that_ends_with_the_slice": (Refused(b"[@123456-8,1,2]", "[]"), TINY),
    "a_letter_after_a_number_document_that_ends_with_the_slice": (Refused(b"1234567@x", "", 1), TINY),
    "an_unclosed_string_document_of_several_slices": (Refused(b'"abcdefghij@'), TINY),
    "an_unclosed_string_document_of_several_default_slices": (Refused(b'"' + b"a" * 20_000 + b"@"), DEFAULT),
    "a_number_document_of_several_slices_cut_at_its_exponent": (Refused(b"1234567890e@"), TINY),
    "a_literal_document_of_two_slices_cut_by_the_end": (Refused(b"     tru@"), TINY),
    "a_form_feed_before_the_break": (Refused(b"[\x0c1, @x]", "[]"), DEFAULT),
    "a_vertical_tab_before_the_break": (Refused(b'{"a":\x0b1, @x}', "a"), DEFAULT),
    "a_form_feed_within_a_number_s_array": (Refused(b"[1\x0c@2]", "[]"), DEFAULT),
    "documents_that_touch_before_the_break": (Refused(b"01 [@,]", "[]", 2), DEFAULT),
    "literals_that_touch_before_the_break": (Refused(b"truefalse [@,]", "[]", 2), DEFAULT),
}


@pytest.mark.parametrize(("case", "limits"), PLACES.values(), ids=PLACES.keys())
def test_a_slice_that_ends_at_an_awkward_place_does_not_move_the_offset(case: Refused, limits: Limits) -> None:
    body = parse(case.data, limits)
    assert (body.status, body.documents) == ("invalid", case.documents)
    assert body.error is not None
    assert body.error.path == case.path
    assert body.error.offset == case.offset


@pytest.mark.parametrize("data", cases(ACCEPTED))
def test_an_accepted_text_that_is_cut_short_says_where_whatever_the_slice(data: bytes) -> None:
    for end in range(0, len(data), 1 if len(data) < 128 else len(data) // 40):
        assert parse(data[:end], DEFAULT, whole=False) == parse(data[:end], TINY, whole=False)
        assert parse(data[:end], TINY, range(1, end), whole=False) == parse(data[:end], TINY, whole=False)
        assert parse(data[:end], TINY, whole=False).status == "truncated"


# --- a matter of taste: ijson (yajl) and json.loads differ, or could


class Difference(NamedTuple):
    """ours: documents of a complete body, or what becomes of it. theirs: whether json.loads takes the bytes."""

    data: bytes
    ours: int | str
    theirs: bool
    why: str


DIGITS = "Python converts at most 4,300 digits to an integer"
EXPONENT = "a Decimal's exponent has at most 18 digits"
LOW = "yajl writes a lone low half as bytes that are no UTF-8"
HIGH = "yajl writes a question mark for a lone high half"
SURROGATE_BYTES = "json.loads decodes with surrogatepass"
WHITE = "to yajl it is white space"
ONE = "json.loads takes one document"
TOUCH = "yajl ends a token where the grammar does, and the next document begins"
CONSTANT = "an extension of json.loads"

DIFFERENCES = {
    # constants
    "nan_to_json_loads": Difference(b"[NaN]", "invalid", True, CONSTANT),
    "infinity_to_json_loads": Difference(b"[Infinity]", "invalid", True, CONSTANT),
    "minus_infinity_to_json_loads": Difference(b"[-Infinity]", "invalid", True, CONSTANT),
    # surrogates
    "a_lone_high_surrogate": Difference(b'["\\ud800"]', 1, True, HIGH),
    "a_lone_high_surrogate_before_text": Difference(b'["\\ud800abc"]', 1, True, HIGH),
    "a_lone_high_surrogate_before_an_escape": Difference(b'["\\ud800\\n"]', 1, True, HIGH),
    "a_lone_high_surrogate_before_an_escaped_quote": Difference(b'["\\ud800\\"",1]', 1, True, HIGH),
    "a_lone_high_surrogate_in_a_key": Difference(b'{"\\udbff":1}', 1, True, HIGH),
    "a_high_surrogate_and_no_low_one": Difference(b'["\\ud800\\u0041"]', 1, True, "yajl joins a high half with any escape after it"),
    "two_high_surrogates": Difference(b'["\\ud83d\\ud83d"]', 1, True, "yajl joins a high half with any escape after it"),
    "a_lone_low_surrogate": Difference(b'["\\udc00"]', "invalid", True, LOW),
    "a_lone_low_surrogate_in_a_key": Difference(b'{"\\udfff":1}', "invalid", True, LOW),
    "a_surrogate_pair_the_wrong_way_round": Difference(b'["\\ude00\\ud83d"]', "invalid", True, LOW),
    "a_surrogate_pair_and_a_low_one_more": Difference(b'["\\ud83d\\ude00\\ude00"]', "invalid", True, LOW),
    "two_high_surrogates_and_a_low_one": Difference(b'["\\ud83d\\ud83d\\ude00"]', "invalid", True, LOW),
    "the_bytes_of_a_high_surrogate": Difference(b'["\xed\xa0\x80"]', "invalid", True, SURROGATE_BYTES),
    "the_bytes_of_a_low_surrogate": Difference(b'["\xed\xbf\xbf"]', "invalid", True, SURROGATE_BYTES),
    "the_bytes_of_a_surrogate_pair": Difference(b'["\xed\xa0\xbd\xed\xb8\x80"]', "invalid", True, SURROGATE_BYTES),
    # white space
    "a_form_feed": Difference(b"[\x0c1]", 1, False, WHITE),
    "a_vertical_tab": Difference(b"[1,\x0b2]", 1, False, WHITE),
    "a_form_feed_at_both_ends": Difference(b"\x0c[]\x0c", 1, False, WHITE),
    "a_form_feed_between_documents": Difference(b"1\x0c2", 2, False, WHITE),
    # numbers
    "an_integer_of_4300_digits": Difference(b"[" + b"1" * 4300 + b"]", 1, True, DIGITS),
    "an_integer_of_4301_digits": Difference(b"[" + b"1" * 4301 + b"]", "dropped", False, DIGITS),
    "a_negative_integer_of_4301_digits": Difference(b"-" + b"1" * 4301, "dropped", False, DIGITS),
    "a_fraction_of_4301_digits": Difference(b"[0." + b"1" * 4301 + b"]", 1, True, "a Decimal has no limit of digits"),
    "the_greatest_exponent": Difference(b"[1e999999999999999999]", 1, True, EXPONENT),
    "an_exponent_too_great": Difference(b"[1e1000000000000000000]", "dropped", True, EXPONENT),
    "an_exponent_too_small": Difference(b"[1E-99999999999999999999]", "dropped", True, EXPONENT),
    "zero_with_an_exponent_too_great": Difference(b"[0e99999999999999999999]", "dropped", True, EXPONENT),
    "zeros_before_an_exponent": Difference(b"[1e0000000000000000000000001]", 1, True, EXPONENT),
    # documents
    "documents_in_a_row": Difference(b"[1]\n[2]\n", 2, False, ONE),
    "documents_that_touch": Difference(b'{"a":1}{"a":1}', 2, False, ONE),
    "a_leading_zero_alone": Difference(b"01", 2, False, TOUCH),
    "a_leading_zero_after_minus_alone": Difference(b"-01", 2, False, TOUCH),
    "two_zeros_alone": Difference(b"00", 2, False, TOUCH),
    "a_date_alone": Difference(b"2024-11-24", 3, False, TOUCH),
    "literals_that_touch": Difference(b"truefalsenull", 3, False, TOUCH),
    "a_digit_after_a_literal": Difference(b"null1", 2, False, TOUCH),
    # keys and depth
    "a_key_that_comes_twice": Difference(b'{"a":1,"a":2}', 1, True, "ijson makes events of both, a dictionary keeps the last"),
    "depth_of_the_limit": Difference(b"[" * 512 + b"]" * 512, 1, True, "json_max_depth"),
    "depth_beyond_the_limit": Difference(b"[" * 513 + b"]" * 513, "dropped", True, "json_max_depth"),
}


@pytest.mark.parametrize("case", DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_where_json_loads_may_think_otherwise_the_answer_is_one_under_every_cut(case: Difference) -> None:
    body = under_every_cut(case.data, DEFAULT)
    assert (body.documents if body.status == "complete" else body.status) == case.ours, case.why
    assert (body.error is None) == (body.status != "invalid")
    assert (body.drop_reason is None) == (body.status != "dropped")
    tiny = under_every_cut(case.data, TINY)
    if body.status == "dropped":
        # what was counted before a limit was passed depends on the slice
        assert (tiny.status, tiny.documents, tiny.drop_reason) == (body.status, body.documents, body.drop_reason)
    else:
        assert without_offset(tiny) == without_offset(body)
    try:
        json.loads(case.data)
    except ValueError:
        assert not case.theirs
    else:
        assert case.theirs


# --- arbitrary texts

texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\/[]{}:, \n\x00\x7f\u2028é☃😀'), max_size=24)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**60), 10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | texts
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=5) | st.lists(st.tuples(texts | st.sampled_from(["", "a"]), inner), max_size=5).map(Pairs)


def nest(value: Any, kinds: list[bool]) -> Any:
    for is_array in kinds:
        value = [value] if is_array else Pairs([("k", value)])
    return value


values = st.recursive(scalars, containers, max_leaves=25) | st.builds(nest, scalars, st.lists(st.booleans(), max_size=60))


class Style(NamedTuple):
    """How a text is written."""

    comma: str
    colon: str
    inside: str
    ascii_only: bool


styles = st.builds(
    Style,
    st.sampled_from([",", ", ", " ,", "\n,\r\n", ",\t\t"]),
    st.sampled_from([":", ": ", " : ", "\t:\n"]),
    st.sampled_from(["", " ", "\n    ", "\r\n\t"]),
    st.booleans(),
)


def write(value: Any, style: Style) -> str:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Pairs):
        members = style.comma.join(write(key, style) + style.colon + write(inner, style) for key, inner in value)
        return "{" + style.inside + members + style.inside + "}"
    if isinstance(value, list):
        return "[" + style.inside + style.comma.join(write(inner, style) for inner in value) + style.inside + "]"
    return json.dumps(value, ensure_ascii=style.ascii_only)


def join(documents: list[str], between: str) -> str:
    """Documents in a row; with nothing between them only where a bracket or quote tells them apart."""
    text = documents[0]
    for document in documents[1:]:
        apart = between or ("" if text[-1] in '"]}' or document[0] in '"[{' else " ")
        text += apart + document
    return text


slices = st.sampled_from([1, 2, 3, 7, 16, 64, DEFAULT.json_slice])
betweens = st.sampled_from(["", " ", "\n", "\r\n\t"])


def fractions(data: bytes, at: list[float]) -> list[int]:
    """Cuts, given as parts of the whole."""
    return sorted({int(part * len(data)) for part in at} - {0})


places_to_cut = st.lists(st.floats(0, 1, exclude_max=True), max_size=8)


@settings(max_examples=200 * CASES)
@given(st.lists(values, min_size=1, max_size=3), styles, betweens, st.sampled_from(["", " ", "\n" * 20]), slices, places_to_cut)
def test_arbitrary_documents_are_counted_as_they_were_written(
    documents: list[Any], style: Style, between: str, around: str, size: int, at: list[float]
) -> None:
    data = (around + join([write(d, style) for d in documents], between) + around).encode()
    expected = expected_body(documents, len(data))
    assert model(data) == expected
    assert parse(data, replace(DEFAULT, json_slice=size), fractions(data, at)) == expected
    assert parse(data, DEFAULT) == expected
    if len(data) <= SMALL:
        assert parse_at_once(data) == expected


EXPONENT_TOO_GREAT = re.compile(rb"[eE][-+]?[0-9]{18,}")


def is_a_known_difference(data: bytes, problem: ValueError | None) -> bool:
    """Of the tables above: white space of yajl's, halves of surrogate pairs, and exponents that a Decimal does not have."""
    if EXPONENT_TOO_GREAT.search(data) or b"\x0b" in data or b"\x0c" in data:
        return True
    if problem is None:
        return has_lone_surrogate(data.decode())
    return False


@settings(max_examples=300 * CASES)
@given(
    st.lists(values, min_size=1, max_size=2),
    styles,
    betweens,
    st.sampled_from(["delete", "replace", "insert"]),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(b'[]{}",:\\0123456789.+-eEtrufalsn \n\t\x00/u\x80\xc3\xff') | st.integers(0, 255),
    slices,
    places_to_cut,
)
def test_a_text_with_one_byte_changed_is_judged_as_the_standard_library_does(
    documents: list[Any], style: Style, between: str, change: str, where: float, byte: int, size: int, at: list[float]
) -> None:
    text = join([write(d, style) for d in documents], between).encode()
    place = int(where * len(text))
    data = text[:place] + (b"" if change == "delete" else bytes([byte])) + text[place + (change != "insert") :]
    problem: ValueError | None = None
    expected: JsonBody | None = None
    try:
        expected = model(data)
    except ValueError as e:
        problem = e
    body = parse(data, replace(DEFAULT, json_slice=size), fractions(data, at))
    whole = parse(data, DEFAULT)
    assert without_offset(body) == without_offset(whole)
    assert body == parse(data, replace(DEFAULT, json_slice=size))
    if is_a_known_difference(data, problem):
        return
    if expected is not None:
        assert body == expected
    else:
        assert body.status == "invalid"
    if len(data) <= SMALL:
        assert parse_at_once(data) == expected


CRUMBS = ["1", "-", "0", ".", "e", "+", "true", "fal", "se", "null", "9", "12", " ", ",", '"a"', '"']
FRONTS = ["[", '{"a":', "[[", '{"aaaaa":', "[1,", "[12345,", "", "     ["]


@settings(max_examples=200 * CASES)
@example("[123456", ["-", "9"], "", 0.5)
@example('{"a":', ["null", "12"], "", 0.5)
@given(st.sampled_from(FRONTS), st.lists(st.sampled_from(CRUMBS), max_size=14), st.sampled_from(["]", "}", "", ",1]"]), st.floats(0, 1))
def test_numbers_and_words_that_touch_break_a_text_at_one_place_in_slices_of_any_size(
    front: str, crumbs: list[str], end: str, cut: float
) -> None:
    data = (front + "".join(crumbs) + end).encode()
    expected = parse(data, DEFAULT)
    for size in (5, 7, 8, 9, 13):
        assert parse(data, replace(DEFAULT, json_slice=size), fractions(data, [cut])) == expected
