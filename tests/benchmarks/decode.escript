#!/usr/bin/env escript
%%! +sbwt none +sbwtdcpu none +sbwtdio none
%% Times binary_to_term/1 over the frames of a file, each after its length in 4 bytes: for each
%% line of stdin one on stdout, with the CPU microseconds for a frame.

-mode(compile).
-define(LEAST, 50). % milliseconds: the clock has no smaller unit

main([File]) ->
    {ok, Data} = file:read_file(File),
    rounds([Frame || <<Size:32, Frame:Size/binary>> <= Data]).

rounds(Frames) ->
    case io:get_line("") of
        eof ->
            ok;
        _ ->
            {Milliseconds, Passes} = pass(Frames, cpu(), 0),
            io:format("~f~n", [Milliseconds * 1000 / Passes / length(Frames)]),
            rounds(Frames)
    end.

pass(Frames, Begin, Passes) ->
    case cpu() - Begin of
        Milliseconds when Milliseconds >= ?LEAST ->
            {Milliseconds, Passes};
        _ ->
            each(Frames),
            pass(Frames, Begin, Passes + 1)
    end.

cpu() ->
    {Milliseconds, _} = statistics(runtime),
    Milliseconds.

each([Frame | Frames]) ->
    _ = binary_to_term(Frame),
    each(Frames);
each([]) ->
    ok.
