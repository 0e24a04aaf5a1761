#!/usr/bin/env escript
%% Times binary_to_term/1 over the frames of a file, each after its length in 4 bytes: once for
%% each line of stdin, in microseconds on a line of stdout.

-mode(compile).

main([File]) ->
    {ok, Data} = file:read_file(File),
    rounds([Frame || <<Size:32, Frame:Size/binary>> <= Data]).

rounds(Frames) ->
    case io:get_line("") of
        eof ->
            ok;
        _ ->
            {Microseconds, ok} = timer:tc(fun() -> each(Frames) end),
            io:format("~b~n", [Microseconds]),
            rounds(Frames)
    end.

each([Frame | Frames]) ->
    _ = binary_to_term(Frame),
    each(Frames);
each([]) ->
    ok.
