"""Help texts: the list of commands, and the layout of ``--help``.

- ``catalogue`` describes each command: group, summary, details and examples.
- ``layout`` formats text in columns of a terminal, also with wide characters.
- ``commands`` has the command classes that write help texts, and load a command when it is run.
- ``panels`` names the groups of commands and options.
"""
