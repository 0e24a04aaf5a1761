#!/usr/bin/env escript
%% Times binary_to_term/1 over the frames of a file, each after its length in 4 bytes: for each
%% line of stdin one on stdout, with the microseconds for a frame.

-mode(compile).
-define(TIMES, 20).

main([File]) ->
    {ok, Data} = file:read_file(File),
    rounds([Frame || <<Size:32, Frame:Size/binary>> <= Data]).

rounds(Frames) ->
    case io:get_line("") of
        eof ->
            ok;
        _ ->
            {Microseconds, ok} = timer:tc(fun() -> again(?TIMES, Frames) end),
            io:format("~f~n", [Microseconds / ?TIMES / length(Frames)]),
            rounds(Frames)
    end.

again(0, _) ->
    ok;
again(Times, Frames) ->
    each(Frames),
    again(Times - 1, Frames).

each([Frame | Frames]) ->
    _ = binary_to_term(Frame),
    each(Frames);
each([]) ->
    ok.
