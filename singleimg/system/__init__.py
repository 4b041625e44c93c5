"""The process and its machine: logs, bars, signals, temporary folders, memory. Imports errors."""
