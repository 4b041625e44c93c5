"""generate, prepare, finish, verify, repair, export: siblings, of which none imports another; and
what a sweep of them ends with. Imports jobs and what lies below."""
