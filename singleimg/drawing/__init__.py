"""Index to numbers to drawn parameters, before any pixel. Imports transforms and errors."""
