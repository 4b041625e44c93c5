"""Bytes that stay: stores, the manifest, shards, staging, reading, integrity, the lock. Imports
errors and system."""
