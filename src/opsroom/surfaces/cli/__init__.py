"""The command line: own commands, and every operation as `opsroom NOUN VERB`, asked of the server over HTTP."""
