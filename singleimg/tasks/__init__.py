"""generate, prepare, finish, verify, repair, export: siblings, of which none imports another.
Imports jobs and what lies below."""
