#!/usr/bin/env escript
%% Erlang's side of test_erlang.py: what term_to_binary/2 writes, and what binary_to_term/1
%% says to a frame. Needs OTP 24 or later; written with OTP 25.
%%
%%   escript terms.escript SEED COUNT MODE
%%
%%     prints COUNT random terms, the same ones for the same SEED, a line each:
%%     FRAME in hex, a tab, the term's normal form. MODE is `small` or `full`; `full` has
%%     large terms now and then. (The order of pairs in a map of over 32 is Erlang's own,
%%     and may differ from run to run.)
%%
%%   escript terms.escript verdicts
%%
%%     reads frames in hex, one a line, and prints a line for each: the normal form of what
%%     binary_to_term/1 makes of it, or ["refused"].
%%
%%   escript terms.escript readings
%%
%%     the same, each line a JSON list of that normal form and of how many of the frame's
%%     bytes binary_to_term/2 used, or ["refused"].
%%
%% The normal form is JSON on one line:
%%
%%   ["a",Hex]  atom, its name in UTF-8        ["i",Decimal]      integer
%%   ["b",Hex]  binary                         ["f",Hex]          float, its 64 bits
%%   ["s",Hex]  list of 1 to 65535 bytes:      ["t",[E,...]]      tuple
%%              what goes out as STRING_EXT    ["m",[[K,V],...]]  map
%%   ["nil"]    empty list                     ["dotted",[E,...],Tail]  improper list
%%   ["l",[E,...]]  any other list             ["other"]          pid, fun, bit string, ...

-mode(compile).
-compile({no_auto_import, [time/0]}).

main(["verdicts"]) ->
    ok = io:setopts([{encoding, latin1}, binary]),
    each_frame(fun({Term, _}) -> normal(Term) end);
main(["readings"]) ->
    ok = io:setopts([{encoding, latin1}, binary]),
    each_frame(fun({Term, Used}) -> ["[", normal(Term), ",", integer_to_binary(Used), "]"] end);
main([Seed, Count, Mode]) when Mode =:= "small"; Mode =:= "full" ->
    ok = io:setopts([{encoding, latin1}, binary]),
    rand:seed(exsss, list_to_integer(Seed)),
    put(mode, list_to_atom(Mode)),
    terms(0, list_to_integer(Count), edges()).

each_frame(Print) ->
    case io:get_line("") of
        eof ->
            ok;
        Line ->
            io:put_chars([verdict(binary:decode_hex(string:trim(Line)), Print), $\n]),
            each_frame(Print)
    end.

verdict(Frame, Print) ->
    try binary_to_term(Frame, [used]) of
        Read -> Print(Read)
    catch
        error:badarg -> "[\"refused\"]"
    end.

%% The edges first, then random terms, Count lines in all.
terms(Count, Count, _) ->
    ok;
terms(N, Count, [{Form, Term} | Rest]) ->
    line(Term, Form),
    terms(N + 1, Count, Rest);
terms(N, Count, []) ->
    Form = N rem 5,
    line(wrapped(random_term(), Form), Form),
    terms(N + 1, Count, []).

line(Term, Form) ->
    io:put_chars([binary:encode_hex(frame(Term, Form)), $\t, normal(Term), $\n]).

frame(Term, 0) -> term_to_binary(Term, [{minor_version, 0}]);
frame(Term, 1) -> term_to_binary(Term, [{minor_version, 1}]);
frame(Term, 2) -> term_to_binary(Term, [{minor_version, 2}]);
frame(Term, 3) -> term_to_binary(Term, [{minor_version, 1}, compressed]);
frame(Term, 4) -> term_to_binary(Term, [{minor_version, 2}, {compressed, 9}]).

%% Erlang compresses only what gets smaller by it, so a term to be compressed is repeated.
%% The number is bounded: decode has a limit on how many terms a byte may stand for.
wrapped(Term, Form) when Form >= 3 ->
    Copies = max(2, min(20, 1000 div erlang:external_size(Term))),
    lists:duplicate(Copies, Term);
wrapped(Term, _) ->
    Term.

%% ---- the normal form

normal(T) when is_atom(T) -> ["[\"a\",\"", binary:encode_hex(atom_to_binary(T, utf8)), "\"]"];
normal(T) when is_binary(T) -> ["[\"b\",\"", binary:encode_hex(T), "\"]"];
normal(T) when is_integer(T) -> ["[\"i\",\"", integer_to_binary(T), "\"]"];
normal(T) when is_float(T) -> ["[\"f\",\"", binary:encode_hex(<<T:64/float>>), "\"]"];
normal(T) when is_tuple(T) -> ["[\"t\",[", commas([normal(E) || E <- tuple_to_list(T)]), "]]"];
normal(T) when is_map(T) ->
    Pairs = [["[", normal(K), ",", normal(V), "]"] || {K, V} <- maps:to_list(T)],
    ["[\"m\",[", commas(Pairs), "]]"];
normal([]) ->
    "[\"nil\"]";
normal(T) when is_list(T) ->
    {Elements, Tail} = split(T, []),
    case Tail of
        [] ->
            case is_string(T) of
                true -> ["[\"s\",\"", binary:encode_hex(list_to_binary(T)), "\"]"];
                false -> ["[\"l\",[", commas([normal(E) || E <- Elements]), "]]"]
            end;
        _ ->
            ["[\"dotted\",[", commas([normal(E) || E <- Elements]), "],", normal(Tail), "]"]
    end;
normal(_) ->
    "[\"other\"]".

split([E | Rest], Acc) -> split(Rest, [E | Acc]);
split(Tail, Acc) -> {lists:reverse(Acc), Tail}.

is_string(List) ->
    length(List) =< 65535 andalso
        lists:all(fun(E) -> is_integer(E) andalso E >= 0 andalso E =< 255 end, List).

commas(List) -> lists:join($,, List).

%% ---- edges: one line in each of the five forms, the bulky ones in one form only

edges() ->
    [{Form, wrapped(T, Form)} || T <- edge_terms(), Form <- [0, 1, 2, 3, 4]] ++
        [{Form, T} || T <- deepest(), Form <- [0, 1, 2, 3, 4]] ++
        lists:zip([0, 1, 2, 3, 4, 1, 2, 4], bulky_terms()).

edge_terms() ->
    [0, 1, -1, 127, 128, 255, 256, -255, -256, 65535, 65536] ++
        [S * ((1 bsl B) + D) || B <- [27, 31, 32, 59, 63, 64], D <- [-1, 0, 1], S <- [1, -1]] ++
        %% 255 bytes are the most of SMALL_BIG_EXT, 1024 the most that decode takes
        [(1 bsl 2040) - 1, 1 bsl 2040, -(1 bsl 2040), (1 bsl 8192) - 1, -((1 bsl 8192) - 1)] ++
        float_pool() ++
        atom_pool() ++
        [list_to_atom(lists:duplicate(255, C)) || C <- [$x, 16#e9, 16#3042, 16#1f600]] ++
        %% 85 and 86 characters of three bytes: 255 bytes, and more than SMALL_ATOM_UTF8_EXT has
        [list_to_atom(lists:duplicate(N, 16#65e5)) || N <- [85, 86]] ++
        binary_pool() ++
        [binary_to_list(B) || B <- binary_pool(), B =/= <<>>] ++
        [
            [], [[]], [[], []], {}, {{}}, [{}], #{}, [#{}], {[]},
            [256], [0, 256], [16#3042, 16#3044], [16#1f600], [-1], [1, 2.0], [a, $b, $c],
            lists:duplicate(300, 300),
            list_to_tuple(lists:seq(1, 255)),
            list_to_tuple(lists:seq(1, 256)),
            list_to_tuple(lists:duplicate(300, {})),
            #{1 => one, 2.5 => <<"two">>, <<"three">> => 3, four => "four"},
            #{-0.5 => 0.0, (1 bsl 64) => big, (1 bsl 8000) => bigger},
            maps:from_list([{integer_to_binary(N), N} || N <- lists:seq(1, 40)]),
            maps:from_list([{N, N} || N <- lists:seq(1, 100)]),
            #{undefined => 1, true => 2, <<"true">> => 3, <<"undefined">> => 4},
            {bert, nil}, {bert, true}, {bert, false}, {bert, dict, []},
            {bert, dict, [{name, <<"x">>}, {"age", 8}, {1, 1.5}]},
            {bert, dict, {bert, nil}},
            {bert, dict, [{{bert, nil}, {bert, nil}}, {{bert, true}, {bert, dict, []}}]},
            {bert, time, 0, 0, 0}, {bert, time, 1255, 295581, 446228},
            {bert, time, -62135, -596800, 0}, {bert, time, 253402, 300799, 999999},
            {bert, time, 0, -1, -1}, {bert, time, 0, 0, 1 bsl 40},
            {bert, string, 'UTF-8', unicode:characters_to_binary([16#65e5, 16#672c])},
            {bert, string, utf8, <<>>}, {bert, string, latin1, <<16#65, 16#cc, 16#81>>},
            {bert, string, 'ISO-8859-1', <<16#e9>>}, {bert, string, <<"utf-8">>, "abc"},
            {bert, string, "Latin-1", <<0, 255>>},
            {bert, regex, <<"^c(a*)t$">>, []}, {bert, regex, "(", [caseless, {newline, crlf}]},
            {bert, regex, {bert, string, utf8, <<"a">>}, [extended]},
            {<<"bert">>, nil}, {<<"bert">>, dict, []}, {<<"bert">>}, {"bert", true},
            {"bert", time, 0, 0, 0}, [bert, nil], [bert], {{bert, nil}, bert}, {x, bert}
        ].

%% The most that decode takes: 64 containers, one in the other.
deepest() ->
    [
        nest(64, 1, fun(T) -> {T} end),
        nest(64, x, fun(T) -> [T] end),
        nest(64, <<"x">>, fun(T) -> #{<<"k">> => T} end)
    ].

nest(0, T, _) -> T;
nest(N, T, F) -> nest(N - 1, F(T), F).

bulky_terms() ->
    [
        binary:copy(<<"0123456789">>, 7000),
        binary:copy(<<255, 0>>, 40000),
        binary:copy(unicode:characters_to_binary([16#65e5, 16#672c]), 12000),
        lists:duplicate(65535, $x),
        lists:duplicate(65536, $x),
        lists:duplicate(65535, 16#e9),
        list_to_tuple(lists:duplicate(70000, 7)),
        lists:duplicate(70000, a)
    ].

float_pool() ->
    %% -0.0 and the ends of the range by their bits: no compiler comes between
    [F || <<F:64/float>> <= <<
        16#8000000000000000:64, 16#0000000000000001:64, 16#8000000000000001:64,
        16#000fffffffffffff:64, 16#0010000000000000:64, 16#7fefffffffffffff:64,
        16#ffefffffffffffff:64, 16#4340000000000001:64, 16#3cb0000000000000:64
    >>] ++
        [0.0, 1.0, -1.0, 0.1, -0.1, 0.3, 1.5, 1.0e23, 1.0e22, 5.0e-324, 123456789.123456789,
            1546839040.024071, 9007199254740993.0, 1.0e100, -1.0e-100].

atom_pool() ->
    Named = [true, false, undefined, bert, nil, null, dict, 'True', 'UTF-8', '', ' ', '"', x,
        user, 'with space'],
    Coded = [[0], [127], [128], [255], [16#e9], [16#c3, 16#a9], "na" ++ [16#ef] ++ "ve",
        [16#3042], [16#65e5, 16#672c, 16#8a9e], [16#1f600], [16#100], [16#7ff], [16#800],
        [16#ffff], [16#10ffff]],
    Named ++ [list_to_atom(C) || C <- Coded].

binary_pool() ->
    [
        <<>>, <<"a">>, <<"bert">>, <<"undefined">>, <<"true">>, <<0>>, <<127>>, <<128>>, <<255>>,
        unicode:characters_to_binary([16#65e5, 16#672c, 16#8a9e]),
        unicode:characters_to_binary([16#30e6, 16#30fc, 16#30b6, $1]),
        unicode:characters_to_binary([16#1f600, 16#10ffff, 16#ffff]),
        <<"caf", 16#e9>>,
        <<16#c3, 16#a9>>,
        <<16#e6, 16#97>>,                   % cut short
        <<16#e6, 16#97, 16#a5, 16#e6>>,     % cut short after a whole character
        <<16#c0, 16#80>>, <<16#e0, 16#80, 16#80>>,                  % longer than need be
        <<16#ed, 16#a0, 16#80>>, <<16#ed, 16#bf, 16#bf>>,           % half a surrogate pair
        <<16#f4, 16#90, 16#80, 16#80>>, <<16#f5, 16#80, 16#80, 16#80>>, % above U+10FFFF
        <<16#ef, 16#bb, 16#bf, "x">>,       % a byte order mark
        <<131, 97, 1>>,
        list_to_binary(lists:seq(0, 127)), list_to_binary(lists:seq(0, 255))
    ].

%% ---- random terms

pick(List) -> lists:nth(rand:uniform(length(List)), List).

below(N) -> rand:uniform(N) - 1.

%% One of [{Weight, Fun}].
one_of(Choices) ->
    one_of(below(lists:sum([W || {W, _} <- Choices])), Choices).

one_of(N, [{W, F} | _]) when N < W -> F();
one_of(N, [{W, _} | Rest]) -> one_of(N - W, Rest).

%% How many elements: few as a rule.
few() -> pick([0, 1, 1, 2, 2, 3, 4, 5, 7]).

repeat(N, F) -> [F() || _ <- lists:seq(1, N)].

random_term() ->
    case {get(mode), below(1500)} of
        {small, _} -> term(3);
        {full, 0} -> {large, large(), term(1)};
        {full, _} -> term(4)
    end.

term(0) ->
    leaf();
term(Depth) ->
    one_of([
        {30, fun leaf/0},
        {20, fun() -> tuple(Depth) end},
        {20, fun() -> repeat(few(), fun() -> term(Depth - 1) end) end},
        {12, fun() -> map(Depth) end},
        {12, fun() -> compound(Depth) end},
        {3, fun() -> not_a_compound(Depth) end},
        {2, fun() -> deep() end},
        {case get(mode) of full when Depth >= 3 -> 1; _ -> 0 end, fun() -> wide() end}
    ]).

leaf() ->
    one_of([
        {20, fun integer/0},
        {10, fun float/0},
        {15, fun atom/0},
        {15, fun binary/0},
        {15, fun charlist/0},
        {5, fun code_points/0},
        {3, fun() -> [] end},
        {2, fun() -> {} end},
        {1, fun() -> #{} end}
    ]).

integer() ->
    one_of([
        {4, fun() -> below(256) end},
        {4, fun() -> below(100000) - 50000 end},
        {6, fun() -> sign((1 bsl pick([7, 8, 15, 16, 27, 28, 31, 32, 53, 59, 60, 63, 64])) +
            below(5) - 2) end},
        {4, fun() -> big(below(20) + 1) end},
        {1, fun() -> sign((1 bsl 2040) + below(3) - 2) end},
        {1, fun() -> big(case below(5) of 0 -> 1024; _ -> below(300) + 1 end) end}
    ]).

sign(N) -> pick([N, -N]).

big(Bytes) -> sign(binary:decode_unsigned(rand:bytes(Bytes))).

float() ->
    one_of([
        {2, fun() -> pick(float_pool()) end},
        {2, fun any_float/0},
        {1, fun() -> rand:normal() * 1000 end},
        {1, fun() -> float(below(2000) - 1000) end},
        {1, fun() -> denormal() end}
    ]).

any_float() ->
    case rand:bytes(8) of
        <<F:64/float>> -> F;
        _ -> any_float()
    end.

denormal() ->
    <<F:64/float>> = <<(below(2)):1, 0:11, (below(1 bsl 52)):52>>,
    F.

atom() ->
    one_of([
        {6, fun() -> pick(atom_pool()) end},
        {6, fun() -> name(few(), fun ascii/0) end},
        {3, fun() -> name(few(), fun latin1/0) end},
        {3, fun() -> name(few(), fun char/0) end},
        {1, fun() -> name(pick([84, 85, 86, 127, 128, 254, 255]),
            pick([fun ascii/0, fun latin1/0, fun char/0])) end}
    ]).

name(Length, Char) -> list_to_atom(repeat(Length, Char)).

ascii() -> $a + below(26).

latin1() -> below(256).

char() ->
    one_of([
        {3, fun ascii/0},
        {2, fun() -> 16#80 + below(16#780) end},
        {5, fun() -> 16#3041 + below(86) end},
        {5, fun() -> 16#4e00 + below(20000) end},
        {1, fun() -> 16#1f600 + below(60) end},
        {1, fun() -> 16#e000 + below(16#10ffff - 16#e000 + 1) end}
    ]).

binary() ->
    one_of([
        {20, fun() -> list_to_binary(repeat(few() * 3, fun ascii/0)) end},
        {20, fun utf8/0},
        {15, fun() -> rand:bytes(few() * 2) end},
        {15, fun() -> list_to_binary(repeat(few(), fun latin1/0)) end},
        {15, fun() -> pick(binary_pool()) end},
        {10, fun cut/0}
    ]).

utf8() -> unicode:characters_to_binary(repeat(few(), fun char/0)).

%% UTF-8 that ends inside a character, or not: often valid but for its last byte.
cut() ->
    case utf8() of
        <<>> -> <<>>;
        Text -> binary:part(Text, 0, byte_size(Text) - 1)
    end.

charlist() ->
    case binary_to_list(binary()) of
        [] -> "x";
        List -> List
    end.

code_points() -> repeat(few(), fun char/0) ++ [256 + below(16#d700)].

tuple(Depth) ->
    %% {bert, ...} is a compound: compound/1 makes those that are well-formed
    case repeat(few(), fun() -> term(Depth - 1) end) of
        [bert | Rest] -> list_to_tuple([berta | Rest]);
        Elements -> list_to_tuple(Elements)
    end.

deep() ->
    Around = pick([
        fun(bert) -> {x}; (T) -> {T} end,
        fun(T) -> [T] end,
        fun(T) -> {x, T} end,
        fun(T) -> #{key => T} end,
        fun(T) -> {bert, dict, [{key, T}]} end    % three levels
    ]),
    nest(below(18), leaf(), Around).

%% Around 65,536 bytes, where the length of a charlist and of an atom's text end.
large() ->
    Length = pick([65534, 65535, 65536, 65537, 65536 + below(5000)]),
    Piece = pick([<<"x">>, utf8(), rand:bytes(5), rand:bytes(2000)]),
    Bytes = binary:part(binary:copy(<<Piece/binary, "-">>, Length), 0, Length),
    pick([Bytes, binary_to_list(Bytes)]).

%% More elements than one byte counts. Leaves of few bytes: see wrapped/2.
wide() ->
    Elements = repeat(250 + below(50), pick([fun integer/0, fun() -> pick(atom_pool()) end,
        fun() -> [] end, fun() -> {} end, fun charlist/0, fun float/0])),
    case {below(2), Elements} of
        {0, [E | Rest]} when E =/= bert -> list_to_tuple([E | Rest]);
        _ -> Elements
    end.

map(Depth) ->
    Count = case below(15) of 0 -> 40; _ -> few() end,
    maps:from_list(pairs(Count, Depth)).

pairs(Count, Depth) ->
    distinct(repeat(Count, fun() -> {key(), term(min(1, Depth - 1))} end), #{}).

%% Drops every key that decode cannot hold apart from an earlier one.
distinct([], _) ->
    [];
distinct([{K, V} | Rest], Seen) ->
    Id = identity(K),
    case Seen of
        #{Id := _} -> distinct(Rest, Seen);
        _ -> [{K, V} | distinct(Rest, Seen#{Id => true})]
    end.

key() ->
    one_of([
        {6, fun atom/0},
        {6, fun binary/0},
        {4, fun charlist/0},
        {4, fun integer/0},
        {3, fun float/0},
        {1, fun() -> pick([{bert, nil}, {bert, true}, {bert, false}, {bert, string, utf8, utf8()}])
            end}
    ]).

%% What a key is to decode: text, a number (true is 1) or none.
identity(undefined) -> none;
identity({bert, nil}) -> none;
identity({bert, string, _, B}) -> identity(B);
identity({bert, B}) -> identity(B);
identity(true) -> {number, 1};
identity(false) -> {number, 0};
identity(K) when is_atom(K) -> {text, atom_to_list(K)};
identity(K) when is_binary(K) ->
    case unicode:characters_to_list(K, utf8) of
        Text when is_list(Text) -> {text, Text};
        _ -> {text, binary_to_list(K)}
    end;
identity(K) when is_list(K) -> identity(list_to_binary(K));
identity(K) when is_integer(K) -> {number, K};
identity(K) when is_float(K), K == trunc(K) -> {number, trunc(K)};
identity(K) when is_float(K) -> {number, K}.

compound(Depth) ->
    one_of([
        {2, fun() -> {bert, nil} end},
        {2, fun() -> {bert, true} end},
        {2, fun() -> {bert, false} end},
        %% {bert, Value} is no pair of a dict but a compound
        {4, fun() -> {bert, dict, [P || {K, _} = P <- pairs(few(), Depth), K =/= bert]} end},
        {3, fun time/0},
        {2, fun() -> {bert, string, pick(['UTF-8', utf8, 'utf-8', <<"UTF_8">>, "utf8"]),
            text(utf8())} end},
        {2, fun() -> {bert, string, pick([latin1, 'Latin-1', 'ISO-8859-1', 'iso_8859_1',
            <<"latin1">>, "LATIN1"]), text(binary())} end},
        {2, fun() -> {bert, regex, binary(), pick([[], [caseless], [{newline, lf}, dotall]])} end},
        {1, fun() -> {bert, regex, term(Depth - 1), term(Depth - 1)} end}
    ]).

%% The text of a bert string: a binary, or a charlist where there is one.
text(<<>>) -> <<>>;
text(B) -> pick([B, B, binary_to_list(B)]).

time() ->
    %% within the years 1 to 9999, however the parts share it
    Total = -62135596800000000 + below(315537897600000000),
    Micro = pick([Total rem 1000000, below(4000000) - 2000000]),
    Seconds = (Total - Micro) div 1000000,
    Mega = pick([Seconds div 1000000, below(1000), below(3) - 1]),
    case Seconds < -62135596700 orelse Seconds > 253402300700 of
        true -> {bert, time, 1255, 295581, Micro};
        false -> {bert, time, Mega, Seconds - Mega * 1000000, Micro}
    end.

%% The text "bert" is no mark of a compound.
not_a_compound(Depth) ->
    Rest = pick([
        [nil], [true], [false], [dict, []], [time, 1, 2, 3], [string, utf8, <<"x">>], [],
        repeat(few(), fun() -> term(Depth - 1) end)
    ]),
    list_to_tuple([pick([<<"bert">>, "bert", {bert, string, utf8, <<"bert">>}]) | Rest]).
