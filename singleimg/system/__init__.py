"""The process and its machine: logs, signals, temporary folders, memory. Imports errors."""
