"""The command line: the main function, the help page. Imports config and what lies below."""
