"""The command line: the main function, sentences for errors, the help page. Imports config and what
lies below."""
