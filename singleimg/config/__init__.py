"""Hydra lives here: keys and their types, checks, sentences for its errors, composing, making
objects, what strangers may name, what is kept. Imports storage and what lies below."""
